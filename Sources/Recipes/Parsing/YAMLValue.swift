import JSONText

/// A YAML document with positions, bounded in size, aliases and merge keys resolved.
struct YAMLValue: Sendable {
  indirect enum Content: Sendable {
    /// A scalar; quoted ones are always texts.
    case scalar(String, quoted: Bool)
    case sequence([YAMLValue])
    case mapping([Entry])
  }

  struct Entry: Sendable {
    let key: String
    /// Of the key.
    let position: SourcePosition
    let value: YAMLValue
  }

  /// What a scalar says by the core schema of YAML 1.2, where `yes` and `no` are texts.
  enum Scalar: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int128)
    case number(Double)
    case text(String)
  }

  let content: Content
  let position: SourcePosition

  init(_ content: Content, at position: SourcePosition) {
    self.content = content
    self.position = position
  }

  /// A value of the canonical form, which has no place.
  init(_ json: JSONValue) {
    position = .none
    switch json {
    case .null: content = .scalar("", quoted: false)
    case .bool(let flag): content = .scalar(flag ? "true" : "false", quoted: false)
    case .number(let text): content = .scalar(text, quoted: false)
    case .string(let text): content = .scalar(text, quoted: true)
    case .array(let elements): content = .sequence(elements.map { YAMLValue($0) })
    case .object(let object):
      content = .mapping(
        object.members.map { Entry(key: $0.key, position: .none, value: YAMLValue($0.value)) })
    }
  }

  /// The scalar; nil for collections.
  var scalar: Scalar? {
    guard case .scalar(let text, let quoted) = content else { return nil }
    return quoted ? .text(text) : Self.resolved(text)
  }

  /// The number, integers included.
  var number: Double? {
    switch scalar {
    case .integer(let value): Double(value)
    case .number(let value): value.isFinite ? value : nil
    default: nil
    }
  }

  private static func resolved(_ text: String) -> Scalar {
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .boolean(true)
    case "false", "False", "FALSE": return .boolean(false)
    default: break
    }
    guard let first = text.utf8.first,
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) || "+-.".utf8.contains(first)
    else { return .text(text) }
    if let value = Int128(text) { return .integer(value) }
    // Swift reads "0x1p3", "nan" and "inf" as numbers, YAML doesn't.
    let isDecimal = text.utf8.allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || "+-.eE".utf8.contains($0)
    }
    if isDecimal, let value = Double(text) { return .number(value) }
    return .text(text)
  }

  /// What this is, for "found …".
  var described: String {
    switch content {
    case .sequence: return "a list"
    case .mapping: return "a mapping"
    case .scalar(let text, _):
      switch scalar {
      case .null: return "nothing"
      case .text: return "the text '\(Self.shortened(text))'"
      default: return Self.shortened(text)
      }
    }
  }

  /// A text that fits into a message, without what would break its line.
  static func shortened(_ text: String, to limit: Int = 60) -> String {
    var shown = ""
    for scalar in text.unicodeScalars.prefix(limit) {
      shown.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
    }
    return text.unicodeScalars.count > limit ? shown + "…" : shown
  }
}
