import JSONText

extension TokenizerReader {
  /// The names of models that are supported.
  static let knownModels = ["BPE", "WordPiece"]

  /// The model's vocabulary: ids by token and tokens by id.
  func vocabulary(
    _ model: JSONValue?
  ) throws(TextError) -> (ids: ByteDictionary, tokens: [String?]) {
    guard let model, model.object != nil else { throw malformed("model", "an object") }
    let name = modelName(model)
    guard Self.knownModels.contains(name) else {
      throw unsupported("model", name, Self.knownModels)
    }
    guard let members = model["vocab"]?.object?.members, !members.isEmpty else {
      throw malformed("model.vocab", "an object from tokens to ids")
    }
    var ids = ByteDictionary(minimumCapacity: members.count)
    var tokens = [String?](repeating: nil, count: members.count)
    for (token, value) in members {
      let id = try id(value, "model.vocab['\(token)']")
      while tokens.count <= Int(id) { tokens.append(nil) }
      if let other = tokens[Int(id)] {
        throw .duplicateID(path: path, id: Int(id), first: other, second: token)
      }
      tokens[Int(id)] = token
      ids.insert(Array(token.utf8), id)
    }
    return (ids, tokens)
  }

  /// Old files do not name their model; its parts tell.
  private func modelName(_ model: JSONValue) -> String {
    if let name = model["type"]?.string { return name }
    if model["vocab"]?.array != nil { return "Unigram" }
    if model["merges"] != nil { return "BPE" }
    return model["max_input_chars_per_word"] != nil ? "WordPiece" : "WordLevel"
  }

  func model(
    _ value: JSONValue?, vocabulary: ByteDictionary
  ) throws(TextError) -> Tokenizer.Model {
    guard let value else { throw malformed("model", "an object") }
    if modelName(value) == "WordPiece" { return .wordPiece(try wordPiece(value, vocabulary)) }
    return .bpe(try bpe(value, vocabulary))
  }

  private func wordPiece(
    _ value: JSONValue, _ vocabulary: ByteDictionary
  ) throws(TextError) -> WordPieceModel {
    let unknown = value["unk_token"]?.string ?? "[UNK]"
    guard let id = vocabulary.value(Array(unknown.utf8)) else {
      throw .missingToken(path: path, part: "model.unk_token", token: unknown)
    }
    return WordPieceModel(
      vocabulary: vocabulary, unknown: id,
      continuingPrefix: Array((value["continuing_subword_prefix"]?.string ?? "##").utf8),
      longestWord: try count(value, "max_input_chars_per_word", "model", default: 100))
  }

  private func bpe(
    _ value: JSONValue, _ vocabulary: ByteDictionary
  ) throws(TextError) -> BPEModel {
    if let dropout = value["dropout"]?.double, dropout != 0 {
      throw unsupported("model.dropout", "\(dropout)", ["null", "0"])
    }
    let prefix = Array((value["continuing_subword_prefix"]?.string ?? "").utf8)
    var model = BPEModel(
      vocabulary: vocabulary,
      merges: MergeTable(try merges(value["merges"], vocabulary, prefixCount: prefix.count)))
    model.continuingPrefix = prefix
    model.wordSuffix = Array((value["end_of_word_suffix"]?.string ?? "").utf8)
    model.fusesUnknown = try bool(value, "fuse_unk", "model", default: false)
    model.ignoresMerges = try bool(value, "ignore_merges", "model", default: false)
    if try bool(value, "byte_fallback", "model", default: false) {
      model.byteTokens = (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return vocabulary.value(Array("<0x\(byte < 16 ? "0" : "")\(digits)>".utf8))
      }
    }
    let alphabet = ByteAlphabet.codes.compactMap { code in
      var bytes: [UInt8] = []
      UTF8Text.append(code, to: &bytes)
      return vocabulary.value(bytes)
    }
    model.alphabet = alphabet.count == 256 ? alphabet : nil
    if let unknown = value["unk_token"]?.string {
      model.unknown = vocabulary.value(Array(unknown.utf8))
      // With the whole byte alphabet no symbol is ever unknown, and files may name what they like.
      if model.unknown == nil, model.alphabet == nil {
        throw .missingToken(path: path, part: "model.unk_token", token: unknown)
      }
    }
    return model
  }

  private func merges(
    _ value: JSONValue?, _ vocabulary: ByteDictionary, prefixCount: Int
  ) throws(TextError) -> [(left: Int32, right: Int32, result: Int32)] {
    guard let elements = value?.array else { throw malformed("model.merges", "a list") }
    var result: [(left: Int32, right: Int32, result: Int32)] = []
    result.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      let part = "model.merges[\(index)]"
      if let text = element.string, text.hasPrefix("#version") { continue }
      guard let (left, right) = pair(element) else {
        throw malformed(part, "two tokens, as \"a b\" or [\"a\", \"b\"]")
      }
      func id(_ token: [UInt8]) throws(TextError) -> Int32 {
        if let id = vocabulary.value(token) { return id }
        throw .missingToken(
          path: path, part: part, token: String(decoding: token, as: UTF8.self))
      }
      let merged = left + right.dropFirst(prefixCount)
      result.append((try id(left), try id(right), try id(merged)))
    }
    return result
  }

  private func pair(_ element: JSONValue) -> (left: [UInt8], right: [UInt8])? {
    if let text = element.string {
      let halves = text.utf8.split(
        separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      return halves.count == 2 ? (Array(halves[0]), Array(halves[1])) : nil
    }
    guard element.array?.count == 2, let left = element[0]?.string, let right = element[1]?.string
    else { return nil }
    return (Array(left.utf8), Array(right.utf8))
  }
}
