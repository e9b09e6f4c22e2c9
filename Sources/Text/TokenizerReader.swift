import JSONText

/// Reads the parts of a tokenizer file; every error names the file and the part.
struct TokenizerReader: Sendable {
  let path: String

  /// Sequences within sequences deeper than this are refused.
  static let deepest = 16
  /// Ids from here on are refused: no vocabulary is so large, and a list by id is made.
  static let idLimit = 1 << 24

  func malformed(_ part: String, _ expected: String) -> TextError {
    .malformed(path: path, part: part, expected: expected)
  }

  func unsupported(_ part: String, _ name: String, _ known: [String]) -> TextError {
    .unsupported(path: path, part: part, name: name, known: known)
  }

  /// The value read by the closure; nil for a part that is absent or null.
  func optional<Part>(
    _ value: JSONValue?, _ part: String,
    _ read: (JSONValue, String) throws(TextError) -> Part
  ) throws(TextError) -> Part? {
    guard let value, !value.isNull else { return nil }
    return try read(value, part)
  }

  /// The name that the part's `type` gives.
  func type(_ value: JSONValue, _ part: String) throws(TextError) -> String {
    guard let name = value["type"]?.string else {
      throw malformed(part + ".type", "the name of a \(part)")
    }
    return name
  }

  func string(_ value: JSONValue, _ key: String, _ part: String) throws(TextError) -> String {
    guard let text = value[key]?.string else { throw malformed("\(part).\(key)", "a text") }
    return text
  }

  func bool(
    _ value: JSONValue, _ key: String, _ part: String, default fallback: Bool
  ) throws(TextError) -> Bool {
    guard let member = value[key], !member.isNull else { return fallback }
    guard let flag = member.bool else { throw malformed("\(part).\(key)", "true or false") }
    return flag
  }

  /// A whole number from 0 to a bound.
  func count(
    _ value: JSONValue, _ key: String, _ part: String, default fallback: Int? = nil
  ) throws(TextError) -> Int {
    if let fallback, value[key] ?? .null == .null { return fallback }
    guard let number = value[key]?.int, number >= 0, number < 1 << 31 else {
      throw malformed("\(part).\(key)", "a whole number from 0 on")
    }
    return number
  }

  func id(_ value: JSONValue?, _ part: String) throws(TextError) -> Int32 {
    guard let number = value?.int, number >= 0, number < Self.idLimit else {
      throw malformed(part, "an id from 0 to \(Self.idLimit - 1)")
    }
    return Int32(number)
  }

  func choice<Choice: RawRepresentable & CaseIterable>(
    _ value: JSONValue?, _ part: String, default fallback: Choice? = nil
  ) throws(TextError) -> Choice where Choice.RawValue == String {
    if let fallback, value ?? .null == .null { return fallback }
    if let text = value?.string {
      if let found = Choice.allCases.first(where: { $0.rawValue == text }) { return found }
    }
    throw malformed(part, "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
  }

  func scalar(_ value: JSONValue?, _ part: String) throws(TextError) -> Unicode.Scalar {
    guard let scalars = value?.string?.unicodeScalars, scalars.count == 1, let first = scalars.first
    else { throw malformed(part, "a single character") }
    return first
  }

  /// A pattern given as `{"Regex": …}` or `{"String": …}`.
  func pattern(_ value: JSONValue, _ part: String) throws(TextError) -> RegexPattern {
    if let text = value["pattern"]?["Regex"]?.string {
      return try RegexPattern(text, path: path)
    }
    if let text = value["pattern"]?["String"]?.string {
      return try RegexPattern(literal: text, path: path)
    }
    throw malformed(part + ".pattern", "{\"Regex\": text} or {\"String\": text}")
  }

  /// The steps of a sequence, each read by the closure.
  func steps<Step>(
    _ value: JSONValue, _ key: String, _ part: String,
    _ read: (JSONValue, String) throws(TextError) -> Step
  ) throws(TextError) -> [Step] {
    guard let elements = value[key]?.array else { throw malformed("\(part).\(key)", "a list") }
    guard part.utf8.count(where: { $0 == UInt8(ascii: "[") }) < Self.deepest else {
      throw malformed(part, "sequences at most \(Self.deepest) deep")
    }
    var result: [Step] = []
    for (index, element) in elements.enumerated() {
      result.append(try read(element, "\(part).\(key)[\(index)]"))
    }
    return result
  }
}
