/// What the parts of the parser report to.
struct DiagnosticSink: Sendable {
  let file: String
  private(set) var diagnostics: [RecipeDiagnostic] = []

  init(file: String) { self.file = file }

  mutating func error(
    at position: SourcePosition, _ message: String, suggestion: String? = nil, note: String? = nil
  ) {
    diagnostics.append(
      RecipeDiagnostic(
        file: file, position: position, message: message, suggestion: suggestion, note: note))
  }

  mutating func warning(at position: SourcePosition, _ message: String) {
    diagnostics.append(
      RecipeDiagnostic(severity: .warning, file: file, position: position, message: message))
  }

  /// A name that nothing bears, with the one that was probably meant.
  mutating func unknown(
    _ noun: String, _ name: String, of owner: String, known: [String], at position: SourcePosition
  ) {
    error(
      at: position, "unknown \(noun) '\(YAMLValue.shortened(name))' in \(owner)",
      suggestion: EditDistance.nearest(to: name, among: known),
      note: "known \(noun)s: \(known.joined(separator: ", "))")
  }

  /// A value that is not what its option takes.
  mutating func report<Value>(
    _ value: YAMLValue, isNot codec: OptionCodec<Value>, name: String, owner: String
  ) {
    var suggestion: String?
    if case .text(let word)? = value.scalar {
      if name == "method" {
        return unknown("method", word, of: owner, known: codec.words, at: value.position)
      }
      suggestion =
        EditDistance.nearest(to: word, among: codec.words)
        ?? (Value.self == Bool.self ? Self.booleans[word.lowercased()] : nil)
    }
    error(
      at: value.position,
      "'\(name)' in \(owner) must be \(codec.expected), found \(value.described)",
      suggestion: suggestion)
  }

  /// YAML 1.1 read these as booleans, and people still write them.
  private static let booleans = ["yes": "true", "on": "true", "no": "false", "off": "false"]

  /// How many of them are no warnings.
  var errorCount: Int { diagnostics.count { $0.severity == .error } }

  /// All that was reported, in the order of the text.
  var sorted: [RecipeDiagnostic] {
    diagnostics.enumerated().sorted {
      ($0.element.position, $0.offset) < ($1.element.position, $1.offset)
    }.map(\.element)
  }
}
