import Checkpoints
import JSONText

/// A byte-level BPE tokenizer as GGUF's metadata carries it.
enum GGUFTokenizer {
  /// The metadata of a tokenizer.json, and a warning when its splitting rule is not one of those
  /// that llama.cpp knows by name.
  ///
  /// - Throws: `InterchangeError.unsupported` for tokenizers of another kind.
  static func metadata(
    tokenizer text: String, configuration: String?, model configText: String?, rows: Int,
    path: String
  ) throws(InterchangeError) -> (values: [(key: String, value: GGUFValue)], warning: String?) {
    guard let root = try? JSONParser.parse(text), let model = root["model"],
      let vocabulary = model["vocab"]?.object
    else {
      throw .malformed(
        path: path, item: "tokenizer.json", found: "no model with a vocabulary",
        expected: "a 'model' with 'vocab'")
    }
    guard model["type"]?.string == "BPE" || model["merges"] != nil else {
      throw .unsupported(
        path: path, what: "a \(model["type"]?.string ?? "unknown") tokenizer",
        advice: "only byte-level BPE tokenizers go into GGUF")
    }
    var tokens = [String](repeating: "", count: rows)
    var kinds = [Int32](repeating: TokenKind.unused.rawValue, count: rows)
    for index in 0..<rows { tokens[index] = "[PAD\(index)]" }
    func put(_ token: String, _ id: Int?, _ kind: TokenKind) {
      guard let id, tokens.indices.contains(id) else { return }
      tokens[id] = token
      kinds[id] = kind.rawValue
    }
    for (token, id) in vocabulary.members { put(token, id.int, .normal) }
    for added in root["added_tokens"]?.array ?? [] {
      guard let content = added["content"]?.string else { continue }
      put(content, added["id"]?.int, added["special"]?.bool == true ? .control : .userDefined)
    }
    let merges = (model["merges"]?.array ?? []).compactMap { merge in
      merge.string ?? merge.array.map { $0.compactMap(\.string).joined(separator: " ") }
    }
    let (splitting, warning) = splitting(root["pre_tokenizer"])
    var values: [(key: String, value: GGUFValue)] = [
      ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string(splitting)),
      ("tokenizer.ggml.tokens", .strings(tokens)),
      ("tokenizer.ggml.token_type", .integers(kinds)),
      ("tokenizer.ggml.merges", .strings(merges)),
    ]
    values += special(configuration, configText, vocabulary, root)
    return (values, warning)
  }

  private enum TokenKind: Int32 { case normal = 1, control = 3, userDefined = 4, unused = 5 }

  /// Ids of the special tokens, and whether a text begins with one.
  private static func special(
    _ configuration: String?, _ model: String?, _ vocabulary: JSONObject, _ root: JSONValue
  ) -> [(key: String, value: GGUFValue)] {
    let names = configuration.flatMap { try? JSONParser.parse($0) }
    let config = model.flatMap { try? JSONParser.parse($0) }
    let added = Dictionary(
      (root["added_tokens"]?.array ?? []).compactMap { entry in
        entry["content"]?.string.map { ($0, entry["id"]?.int) }
      }
    ) { first, _ in first }
    func id(_ role: String) -> Int? {
      let name = names?[role + "_token"]
      if let text = name?.string ?? name?["content"]?.string {
        return vocabulary[text]?.int ?? added[text] ?? nil
      }
      let stated = config?[role + "_token_id"]
      return stated?.int ?? stated?.array?.first?.int
    }
    var result: [(key: String, value: GGUFValue)] = []
    let keys = [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")]
    for (role, key) in keys {
      if let id = id(role), id >= 0 {
        result.append(("tokenizer.ggml.\(key)_token_id", .u32(UInt32(id))))
      }
    }
    // A beginning is put there only by those tokenizers whose post-processor does it.
    let begins =
      root["post_processor"].map { $0.text().contains("\"special_tokens\":{\"") } ?? false
    result.append(("tokenizer.ggml.add_bos_token", .bool(names?["add_bos_token"]?.bool ?? begins)))
    if let template = names?["chat_template"]?.string {
      result.append(("tokenizer.chat_template", .string(template)))
    }
    return result
  }

  /// llama.cpp's name for a way to split text before merging.
  private static func splitting(_ rule: JSONValue?) -> (name: String, warning: String?) {
    guard let rule else { return ("default", "the tokenizer does not split text: not known there") }
    let steps = rule["pretokenizers"]?.array ?? [rule]
    let kinds = steps.compactMap { $0["type"]?.string }
    let pattern = steps.compactMap { $0["pattern"]?["Regex"]?.string }.first
    switch (kinds, pattern) {
    case (["ByteLevel"], nil): return ("gpt-2", nil)
    case (["Digits", "ByteLevel"], nil) where steps[0]["individual_digits"]?.bool == true:
      return ("smollm", nil)
    case (["Split", "ByteLevel"], let pattern?) where pattern.contains("\\p{N}{1,3}"):
      return ("llama-bpe", nil)
    case (["Split", "ByteLevel"], let pattern?) where pattern.contains("|\\p{N}|"):
      return ("qwen2", nil)
    default:
      return (
        "default",
        "llama.cpp may split text otherwise than this tokenizer (\(kinds.joined(separator: ", "))): "
          + "compare its tokens before you trust its figures"
      )
    }
  }
}
