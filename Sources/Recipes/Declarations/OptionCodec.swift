import JSONText

/// How one kind of value is read from YAML, written as JSON, and described to a reader.
///
/// The schema, the reference, the parser and the canonical form all use the same codec, so they
/// can't disagree.
struct OptionCodec<Value: Sendable>: Sendable {
  /// The JSON Schema of a value.
  let schema: JSONValue
  /// What a value must be, as a noun: "an integer from 2 to 8".
  let expected: String
  /// The value, or nil when it is not what `expected` says.
  ///
  /// A codec of a composite reports what is wrong inside by itself, and then returns a value all
  /// the same: nil is for "this is something else altogether".
  let read: @Sendable (YAMLValue, _ owner: String, inout DiagnosticSink) -> Value?
  /// The value as the canonical form holds it; must be readable again.
  let encode: @Sendable (Value) -> JSONValue
  /// Texts that are allowed, for suggestions.
  var words: [String] = []
  /// Whether `words` are all there is.
  var isChoice = false
}

extension OptionCodec {
  /// A codec of plain values.
  init(
    schema: JSONValue, expected: String, decode: @escaping @Sendable (YAMLValue) -> Value?,
    encode: @escaping @Sendable (Value) -> JSONValue, words: [String] = [], isChoice: Bool = false
  ) {
    self.init(
      schema: schema, expected: expected, read: { value, _, _ in decode(value) }, encode: encode,
      words: words, isChoice: isChoice)
  }
}

extension OptionCodec where Value == Int {
  /// An integer within bounds.
  static func integer(_ range: ClosedRange<Int>) -> OptionCodec {
    OptionCodec(
      schema: [
        "type": "integer", "minimum": JSONValue(range.lowerBound),
        "maximum": JSONValue(range.upperBound),
      ],
      expected: range.count == 1
        ? "\(range.lowerBound)" : "an integer from \(range.lowerBound) to \(range.upperBound)",
      decode: { value in
        guard case .integer(let number)? = value.scalar else { return nil }
        return Int(exactly: number).flatMap { range.contains($0) ? $0 : nil }
      },
      encode: { JSONValue($0) })
  }
}

extension OptionCodec where Value == UInt64 {
  /// Any integer from 0 to 2^64 − 1.
  static let seed = OptionCodec(
    schema: ["type": "integer", "minimum": 0, "maximum": .number("\(UInt64.max)")],
    expected: "an integer from 0 to \(UInt64.max)",
    decode: { value in
      guard case .integer(let number)? = value.scalar else { return nil }
      return UInt64(exactly: number)
    },
    encode: { .number("\($0)") })
}

extension OptionCodec where Value == Double {
  /// A number within bounds.
  static func number(_ range: ClosedRange<Double>) -> OptionCodec {
    OptionCodec(
      schema: [
        "type": "number", "minimum": JSONValue(range.lowerBound),
        "maximum": JSONValue(range.upperBound),
      ],
      expected: "a number from \(shown(range.lowerBound)) to \(shown(range.upperBound))",
      decode: { value in value.number.flatMap { range.contains($0) ? $0 : nil } },
      encode: { JSONValue($0 == 0 ? 0.0 : $0) })
  }

  private static func shown(_ bound: Double) -> String {
    Int(exactly: bound).map(String.init) ?? "\(bound)"
  }

  /// A number strictly between 0 and 1.
  static let fraction = OptionCodec(
    schema: ["type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1],
    expected: "a number between 0 and 1, both excluded",
    decode: { value in value.number.flatMap { $0 > 0 && $0 < 1 ? $0 : nil } },
    encode: { JSONValue($0) })
}

extension OptionCodec where Value == Bool {
  static let boolean = OptionCodec(
    schema: ["type": "boolean"], expected: "true or false",
    decode: { value in if case .boolean(let flag)? = value.scalar { flag } else { nil } },
    encode: { JSONValue($0) })
}

extension OptionCodec where Value == String {
  /// A text on one line, not empty.
  static let line = OptionCodec(
    schema: ["type": "string", "minLength": 1, "maxLength": 1000, "pattern": "^[^\\r\\n]+$"],
    expected: "a text on one line, of 1 to 1000 characters",
    decode: { value in
      guard case .text(let text)? = value.scalar, (1...1000).contains(text.unicodeScalars.count),
        !text.unicodeScalars.contains(where: { $0 == "\n" || $0 == "\r" })
      else { return nil }
      return text
    },
    encode: { .string($0) })
}

extension OptionCodec where Value: RawRepresentable<String> & CaseIterable {
  /// One of the words of an enumeration.
  static func choice() -> OptionCodec {
    let words = Value.allCases.map(\.rawValue)
    return OptionCodec(
      schema: ["enum": .array(words.map { .string($0) })],
      expected: words.map { "'\($0)'" }.joined(separator: " or "),
      decode: { value in
        guard case .text(let word)? = value.scalar else { return nil }
        return Value(rawValue: word)
      },
      encode: { .string($0.rawValue) }, words: words, isChoice: true)
  }
}
