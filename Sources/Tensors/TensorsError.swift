/// What can be wrong with a shape or with numbers that came from outside.
public enum TensorsError: Error, Hashable, Sendable {
  case negativeExtent([Int])
  case elementCountOverflows([Int])
  case byteCountMismatch(expected: Int, found: Int)
  case notConvertible(from: DType, to: DType)
}

extension TensorsError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .negativeExtent(let dimensions):
      "shape \(dimensions) has a negative extent"
    case .elementCountOverflows(let dimensions):
      "shape \(dimensions) has more elements than this machine can address"
    case .byteCountMismatch(let expected, let found):
      "expected \(expected) bytes, found \(found)"
    case .notConvertible(let from, let to):
      "\(from.rawValue) values cannot be converted to \(to.rawValue)"
    }
  }
}
