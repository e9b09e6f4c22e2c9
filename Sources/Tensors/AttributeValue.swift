/// A small value that describes a tensor or a group in a file: an attribute.
public enum AttributeValue: Sendable, Hashable {
  case int(Int)
  case double(Double)
  case string(String)
  case ints([Int])
  case doubles([Double])
  case strings([String])

  public var int: Int? { if case .int(let value) = self { value } else { nil } }
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var ints: [Int]? {
    switch self {
    case .ints(let values): values
    case .int(let value): [value]
    default: nil
    }
  }
  public var strings: [String]? {
    switch self {
    case .strings(let values): values
    case .string(let value): [value]
    default: nil
    }
  }
  /// The number, an integer widened.
  public var double: Double? {
    switch self {
    case .double(let value): value
    case .int(let value): Double(value)
    default: nil
    }
  }
}
