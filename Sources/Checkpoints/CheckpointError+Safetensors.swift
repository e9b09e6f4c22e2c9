/// What can be wrong with a safetensors file; offsets count from the data's beginning.
public enum SafetensorsProblem: Sendable, Hashable {
  // MARK: The header
  case tooShort(size: Int)
  case headerTooLong(length: UInt64, limit: Int)
  case headerPastEnd(length: Int, size: Int)
  case headerNotJSON(reason: String)
  case duplicateName(name: String)
  case metadataNotText(key: String)

  // MARK: A tensor
  case fieldInvalid(tensor: String, field: String, expected: String)
  case unknownDType(tensor: String, dtype: String)
  case negativeExtent(tensor: String, shape: [Int])
  case shapeOverflows(tensor: String, shape: [Int])
  case wrongByteCount(tensor: String, expected: Int, found: Int)
  case offsetsReversed(tensor: String, begin: Int, end: Int)

  // MARK: The data
  case offsetsPastEnd(tensor: String, end: Int, available: Int)
  case overlap(tensor: String, other: String)
  case hole(tensor: String, begin: Int, expected: Int)
  case bytesLeftOver(count: Int)
}

extension SafetensorsProblem: CustomStringConvertible {
  /// The sentence that follows the file's name.
  public var description: String {
    switch self {
    case .tooShort, .headerTooLong, .headerPastEnd, .headerNotJSON, .duplicateName,
      .metadataNotText:
      headerSentence
    default: tensorSentence
    }
  }

  private var headerSentence: String {
    switch self {
    case .tooShort(let size):
      "has \(size) bytes, and a safetensors file begins with 8 bytes of header length; "
        + "fetch it again"
    case .headerTooLong(let length, let limit):
      "states a header of \(length) bytes; at most \(limit) are allowed: "
        + "it is damaged, or no safetensors file"
    case .headerPastEnd(let length, let size):
      "states a header of \(length) bytes, but the whole file has \(size); "
        + "it was cut short: fetch it again"
    case .headerNotJSON(let reason):
      "has a header that is not the JSON of a safetensors file: \(reason); fetch it again"
    case .duplicateName(let name):
      "names '\(CheckpointError.shown(name))' twice in its header; write the file again"
    case .metadataNotText(let key):
      "must map names to texts in '__metadata__'; '\(CheckpointError.shown(key))' is not a text"
    default: preconditionFailure("\(self) is no problem of a header")
    }
  }

  private var tensorSentence: String {
    func shown(_ name: String) -> String { CheckpointError.shown(name) }
    switch self {
    case .fieldInvalid(let tensor, let field, let expected):
      return "tensor '\(shown(tensor))': '\(shown(field))' must be \(expected)"
    case .unknownDType(let tensor, let dtype):
      return "tensor '\(shown(tensor))' has the type '\(shown(dtype))'; known are "
        + SafetensorsDType.names.joined(separator: ", ")
    case .negativeExtent(let tensor, let shape):
      return "tensor '\(shown(tensor))' has the shape \(shape) with a negative extent"
    case .shapeOverflows(let tensor, let shape):
      return "tensor '\(shown(tensor))' has the shape \(shape), "
        + "more elements than this machine can address"
    case .wrongByteCount(let tensor, let expected, let found):
      return "tensor '\(shown(tensor))' needs \(expected) bytes by its type and shape, "
        + "but its offsets span \(found)"
    case .offsetsReversed(let tensor, let begin, let end):
      return "tensor '\(shown(tensor))' has the offsets [\(begin), \(end)], "
        + "which do not go forwards from 0"
    case .offsetsPastEnd(let tensor, let end, let available):
      return "tensor '\(shown(tensor))' ends at byte \(end) of the data, but the file holds "
        + "\(available); it was cut short: fetch it again"
    case .overlap(let tensor, let other):
      return "the bytes of tensor '\(shown(tensor))' overlap those of '\(shown(other))'; "
        + "write the file again"
    case .hole(let tensor, let begin, let expected):
      return "\(begin - expected) bytes before tensor '\(shown(tensor))' belong to no tensor: "
        + "it should begin at byte \(expected) of the data, not at \(begin)"
    case .bytesLeftOver(let count):
      return "\(count) bytes after the last tensor belong to no tensor; write the file again"
    default: preconditionFailure("\(self) is no problem of a tensor")
    }
  }
}
