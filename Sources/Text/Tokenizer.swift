/// A text's way to token ids and back, as a tokenizer.json describes it.
///
/// The ids equal those of the `tokenizers` package; docs/tokenizers.md lists what is supported,
/// which Unicode version stands behind each class, and where the two may differ.
public final class Tokenizer: Sendable {
  /// The model that turns pieces into tokens.
  enum Model: Sendable {
    case bpe(BPEModel)
    case wordPiece(WordPieceModel)
  }

  /// Which code does the work: both give the same ids.
  enum Route: Sendable {
    /// Hand-written scanners, byte tables and caches where they apply.
    case fast
    /// PCRE2, the mapped text and merging piece by piece, always.
    case reference
  }

  /// The file that the tokenizer came from, for messages.
  public let path: String
  /// The truncation and padding blocks; only `encodeLimited` heeds them.
  public let lengthLimits: LengthLimits
  /// The special tokens that tokenizer_config.json names.
  public let roles: TokenizerRoles

  let parts: TokenizerParts
  let route: Route
  let pool = ScratchPool()
  /// The scanner and alphabet of a byte-level model whose pieces need no rewriting.
  let scanner: (SplitScanner, alphabet: [Int32])?

  /// A tokenizer from the text of a tokenizer.json.
  ///
  /// - Parameters:
  ///   - json: The text of the file.
  ///   - path: Its name, for messages.
  ///   - configuration: The text of tokenizer_config.json, which names the special tokens.
  /// - Throws: `TextError` for text that is no JSON, and for missing or unsupported parts.
  public convenience init(
    json: String, path: String, configuration: String? = nil
  ) throws(TextError) {
    try self.init(json: json, path: path, configuration: configuration, route: .fast)
  }

  init(
    json: String, path: String, configuration: String?, route: Route
  ) throws(TextError) {
    let parts = try TokenizerParts(json: json, path: path)
    self.path = path
    self.parts = parts
    self.route = route
    self.lengthLimits = parts.lengthLimits
    self.roles = try TokenizerRoles(
      configuration: configuration, path: path, id: { parts.ids.value(Array($0.utf8)) })
    self.scanner = route == .fast ? Self.scanner(for: parts) : nil
  }

  /// How many tokens there are, added ones counted.
  public var vocabularySize: Int { parts.ids.count }

  /// One more than the highest id: the least number of embedding rows that serves all ids.
  public var idLimit: Int { parts.tokens.count }

  /// The id of a token.
  public func id(of token: String) -> Int32? { parts.ids.value(Array(token.utf8)) }

  /// The token of an id, as the file writes it; nil where the id has none.
  public func token(for id: Int32) -> String? {
    guard id >= 0, Int(id) < parts.tokens.count else { return nil }
    return parts.tokens[Int(id)]
  }

  /// Whether an id is a special token's.
  public func isSpecial(_ id: Int32) -> Bool { parts.specialIDs.contains(id) }

  /// The token that begins a text, where tokenizer_config.json names one.
  public var beginning: Int32? { roles.beginning }
  /// The token that ends a text, where tokenizer_config.json names one.
  public var end: Int32? { roles.end }

  private static func scanner(for parts: TokenizerParts) -> (SplitScanner, alphabet: [Int32])? {
    guard case .bpe(let model) = parts.model, let alphabet = model.alphabet,
      model.continuingPrefix.isEmpty, model.wordSuffix.isEmpty
    else { return nil }
    switch parts.preTokenizer {
    case .byteLevel(addPrefixSpace: false, let pattern?):
      return SplitScanner(pattern: pattern.source).map { ($0, alphabet) }
    case .sequence(let steps) where steps.count == 2:
      guard case .split(let pattern, let behaviour, let inverted) = steps[0],
        case .byteLevel(addPrefixSpace: false, pattern: nil) = steps[1],
        let scanner = SplitScanner(pattern: pattern.source)
      else { return nil }
      // Pieces cover the text, so that only these settings keep them as they are.
      let keepsAll =
        (behaviour == .isolated && !inverted) || (behaviour == .removed && inverted)
      return keepsAll ? (scanner, alphabet) : nil
    default: return nil
    }
  }
}
