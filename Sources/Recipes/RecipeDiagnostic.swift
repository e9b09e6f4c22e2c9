/// One thing that is wrong with a recipe, or odd, and where.
public struct RecipeDiagnostic: Sendable, Hashable {
  public enum Severity: String, Sendable, Hashable {
    case error
    case warning
  }

  public var severity: Severity
  public var file: String
  public var line: Int
  public var column: Int
  public var message: String
  /// What was probably meant.
  public var suggestion: String?
  /// What else helps: the known keys, the number of tensors.
  public var note: String?

  public init(
    severity: Severity = .error, file: String, position: SourcePosition, message: String,
    suggestion: String? = nil, note: String? = nil
  ) {
    self.severity = severity
    self.file = file
    line = position.line
    column = position.column
    self.message = message
    self.suggestion = suggestion
    self.note = note
  }

  public var position: SourcePosition { SourcePosition(line: line, column: column) }
}

extension RecipeDiagnostic: CustomStringConvertible {
  /// The line that a terminal shows.
  ///
  /// `recipes/w4.yaml:7:5: error: unknown key 'grup' in 'quantize'; did you mean 'group'?`
  public var description: String {
    var text = line > 0 ? "\(file):\(line):\(column)" : file
    text += ": \(severity.rawValue): \(message)"
    if let suggestion { text += "; did you mean '\(suggestion)'?" }
    if let note { text += " (\(note))" }
    return text
  }
}

/// Why a recipe was refused: all that is wrong with it, in the order of the text.
public struct RecipeErrors: Error, Sendable, Hashable, CustomStringConvertible {
  /// At least one error; warnings may stand between.
  public let diagnostics: [RecipeDiagnostic]
  public init(_ diagnostics: [RecipeDiagnostic]) { self.diagnostics = diagnostics }

  /// One line a diagnostic.
  public var description: String {
    diagnostics.map(\.description).joined(separator: "\n")
  }
}
