import JSONText

/// The parts of a tokenizer file, read and checked.
struct TokenizerParts: Sendable {
  var model: Tokenizer.Model
  var normalizer: Normalizer?
  var preTokenizer: PreTokenizer?
  var postProcessor = PostProcessor()
  var decoder: TokenDecoder?
  var lengthLimits = LengthLimits()
  /// Ids by token, added tokens included.
  var ids: ByteDictionary
  /// Tokens by id; nil where the file leaves a gap.
  var tokens: [String?]
  var specialIDs: Set<Int32> = []
  /// Texts of added tokens that decode to something else than themselves.
  var decodedTexts: [Int32: String] = [:]
  /// Added tokens that are looked for in the text as it came.
  var originalTokens = AddedTokenFinder()
  /// Added tokens that are looked for in the normalized text.
  var normalizedTokens = AddedTokenFinder()

  /// Reads the text of a tokenizer.json.
  init(json: String, path: String) throws(TextError) {
    let root: JSONValue
    do {
      root = try JSONParser.parse(json)
    } catch {
      throw .notJSON(path: path, error: error)
    }
    let reader = TokenizerReader(path: path)
    guard root.object != nil else { throw reader.malformed("the file", "an object") }
    let (vocabulary, tokens) = try reader.vocabulary(root["model"])
    ids = vocabulary
    self.tokens = tokens
    normalizer = try reader.optional(root["normalizer"], "normalizer", reader.normalizer)
    preTokenizer = try reader.optional(
      root["pre_tokenizer"], "pre_tokenizer", reader.preTokenizer)
    model = try reader.model(root["model"], vocabulary: vocabulary)
    postProcessor =
      try reader.optional(root["post_processor"], "post_processor", reader.postProcessor)
      ?? PostProcessor()
    decoder = try reader.optional(root["decoder"], "decoder", reader.decoder)
    lengthLimits = try reader.lengthLimits(root)
    for token in try reader.addedTokens(root["added_tokens"]) { try add(token, path: path) }
  }

  private mutating func add(_ token: AddedToken, path: String) throws(TextError) {
    var token = token
    let bytes = Array(token.content.utf8)
    if bytes.isEmpty { return }
    if let known = ids.value(bytes) {
      token.id = known
    } else {
      let index = Int(token.id)
      while tokens.count <= index { tokens.append(nil) }
      if let other = tokens[index] {
        throw .duplicateID(path: path, id: index, first: other, second: token.content)
      }
      tokens[index] = token.content
      ids.insert(bytes, token.id)
    }
    if token.isSpecial { specialIDs.insert(token.id) }
    if token.normalized {
      let pattern = Array(try normalizer?.applied(to: bytes[...]) ?? bytes[...])
      normalizedTokens.insert(token, as: pattern)
      // In decoded text such a token stands as it was looked for.
      decodedTexts[token.id] = String(decoding: pattern, as: UTF8.self)
    } else {
      originalTokens.insert(token, as: bytes)
    }
  }
}
