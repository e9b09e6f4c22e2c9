/// A JSON document: objects keep the order of their keys, numbers keep their text.
///
/// Foundation's decoder drops duplicate keys silently and loses order; a checkpoint's header with
/// a name given twice must be refused, and a configuration must be carried along bit for bit.
public enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  /// A number as it was written, so that large integers lose nothing.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

/// The members of a JSON object, in order; keys are unique.
///
/// Keys are told apart by their bytes. Swift's own comparison of texts calls `é` and `e` with a
/// combining accent equal, and vocabularies have both as tokens.
public struct JSONObject: Sendable, Hashable {
  public private(set) var members: [(key: String, value: JSONValue)] = []
  private var index: [ExactKey: Int] = [:]

  public init() {}

  /// The value of a key; assigning nil removes nothing, assigning a value replaces or appends.
  public subscript(key: String) -> JSONValue? {
    get { index[ExactKey(key)].map { members[$0].value } }
    set {
      guard let newValue else { return }
      if let position = index[ExactKey(key)] {
        members[position].value = newValue
      } else {
        index[ExactKey(key)] = members.count
        members.append((key, newValue))
      }
    }
  }

  /// The keys, in order.
  public var keys: [String] { members.map(\.key) }

  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.members.count == right.members.count
      && left.members.allSatisfy { right[$0.key] == $0.value }
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(members.count)
    for key in keys.sorted() { hasher.combine(key) }
  }
}

/// A text that equals another only when their bytes do.
private struct ExactKey: Hashable, Sendable {
  private let text: String

  init(_ text: String) { self.text = text }

  static func == (left: ExactKey, right: ExactKey) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension JSONValue {
  /// The member of an object; nil when this is no object or has no such key.
  public subscript(key: String) -> JSONValue? { object?[key] }

  /// The element of an array; nil when this is no array or it is shorter.
  public subscript(index: Int) -> JSONValue? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var isNull: Bool { self == .null }

  /// The number as an integer; nil when it is not one or does not fit.
  ///
  /// A number with a fraction or an exponent counts below 2⁵³, beyond which a double may stand for
  /// a neighbour of what was written.
  public var int: Int? {
    guard case .number(let text) = self else { return nil }
    if let value = Int(text) { return value }
    guard let value = Double(text), value.magnitude < 0x1p53 else { return nil }
    return Int(exactly: value)
  }

  /// The number as a double.
  public var double: Double? { if case .number(let text) = self { Double(text) } else { nil } }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .number(String(value)) }
  public init(floatLiteral value: Double) { self.init(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(nilLiteral: ()) { self = .null }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in elements { object[key] = value }
    self = .object(object)
  }

  public init(_ value: Int) { self = .number(String(value)) }
  public init(_ value: String) { self = .string(value) }
  public init(_ value: Bool) { self = .bool(value) }
  /// A number; JSON has no infinities and no NaN, which become null.
  public init(_ value: Double) { self = value.isFinite ? .number("\(value)") : .null }
  /// A number with the digits that tell an f32 apart from its neighbours.
  public init(_ value: Float) { self = value.isFinite ? .number("\(value)") : .null }
}
