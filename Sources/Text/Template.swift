/// A prompt with slots for a record's fields and one list of options, as
/// `{text} It was{ terrible| great}`.
///
/// `{name}` is a slot; a brace with `|` in it is the option list, label 0 first; `{{` and `}}` are
/// braces. What follows the option list belongs to each option: it is scored with it.
public struct Template: Sendable, Hashable {
  enum Part: Sendable, Hashable {
    case literal(String)
    case slot(String)
  }

  /// The template as it was written.
  public let source: String
  /// The options, in order of their labels.
  public let options: [String]
  let prompt: [Part]
  let continuation: [Part]

  /// The fields that the slots name, each once, in order.
  public var fields: [String] {
    var result: [String] = []
    for case .slot(let name) in prompt + continuation where !result.contains(name) {
      result.append(name)
    }
    return result
  }

  /// Reads a template.
  ///
  /// - Throws: `TextError` for unmatched braces, no slot, no options or more than one list of
  ///   them, and for options that are empty or come twice.
  public init(_ source: String) throws(TextError) {
    var reader = TemplateReader(source)
    try reader.read()
    guard let options = reader.options else { throw .templateWithoutOptions(template: source) }
    for (index, option) in options.enumerated() {
      if option.isEmpty { throw .templateEmptyOption(template: source) }
      if options[..<index].contains(option) {
        throw .templateRepeatedOption(template: source, option: option)
      }
    }
    self.source = source
    self.options = options
    prompt = reader.prompt
    continuation = reader.continuation
    guard !fields.isEmpty else { throw .templateWithoutSlot(template: source) }
  }

  /// A record's prompt, and each option with what follows it.
  public struct Rendered: Sendable, Hashable {
    public var prompt: String
    public var options: [String]

    /// The whole text with one option.
    public func text(option: Int) -> String { prompt + options[option] }
  }

  /// Fills the slots from a record.
  ///
  /// - Parameter replacing: Texts to use in the place of the record's, by field.
  /// - Throws: `TextError.missingField` with a suggestion.
  public func render(
    _ record: TextRecord, replacing: [String: String] = [:]
  ) throws(TextError) -> Rendered {
    func text(_ parts: [Part]) throws(TextError) -> String {
      var result = ""
      for part in parts {
        switch part {
        case .literal(let literal): result += literal
        case .slot(let field):
          if let replacement = replacing[field] {
            result += replacement
          } else {
            result += try record.text(field)
          }
        }
      }
      return result
    }
    let after = try text(continuation)
    return Rendered(prompt: try text(prompt), options: options.map { $0 + after })
  }
}

/// Takes a template's text apart.
struct TemplateReader {
  private let source: String
  private let bytes: [UInt8]
  private var position = 0
  private var literal: [UInt8] = []
  private(set) var prompt: [Template.Part] = []
  private(set) var continuation: [Template.Part] = []
  private(set) var options: [String]?

  init(_ source: String) {
    self.source = source
    bytes = Array(source.utf8)
  }

  mutating func read() throws(TextError) {
    while position < bytes.count {
      let byte = bytes[position]
      let isDoubled = position + 1 < bytes.count && bytes[position + 1] == byte
      if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}"), isDoubled {
        literal.append(byte)
        position += 2
      } else if byte == UInt8(ascii: "{") {
        try readBraces()
      } else if byte == UInt8(ascii: "}") {
        throw .templateUnbalanced(template: source, offset: position)
      } else {
        literal.append(byte)
        position += 1
      }
    }
    flush()
  }

  private mutating func readBraces() throws(TextError) {
    let start = position
    position += 1
    var alternatives: [[UInt8]] = [[]]
    while position < bytes.count, bytes[position] != UInt8(ascii: "}") {
      if bytes[position] == UInt8(ascii: "{") {
        throw .templateUnbalanced(template: source, offset: start)
      }
      if bytes[position] == UInt8(ascii: "|") {
        alternatives.append([])
      } else {
        alternatives[alternatives.count - 1].append(bytes[position])
      }
      position += 1
    }
    guard position < bytes.count else {
      throw .templateUnbalanced(template: source, offset: start)
    }
    position += 1
    let texts = alternatives.map { String(decoding: $0, as: UTF8.self) }
    flush()
    if texts.count > 1 {
      if options != nil {
        throw .templateWithTwoOptionLists(template: source, offset: start)
      }
      options = texts
    } else if texts[0].isEmpty {
      throw .templateEmptySlot(template: source, offset: start)
    } else {
      append(.slot(texts[0]))
    }
  }

  private mutating func flush() {
    if literal.isEmpty { return }
    append(.literal(String(decoding: literal, as: UTF8.self)))
    literal.removeAll()
  }

  private mutating func append(_ part: Template.Part) {
    if options == nil { prompt.append(part) } else { continuation.append(part) }
  }
}
