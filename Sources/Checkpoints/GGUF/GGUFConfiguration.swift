import JSONText

/// The texts beside a Hugging Face checkpoint, made from GGUF's metadata.
enum GGUFConfiguration {
  /// config.json; nil when a number that the architecture needs is missing.
  static func json(_ file: GGUFFile) -> String? {
    guard let architecture = file["general.architecture"]?.string else { return nil }
    func int(_ key: String) -> JSONValue? {
      file[architecture + "." + key]?.int.map { JSONValue($0) }
    }
    func number(_ key: String) -> JSONValue? {
      file[architecture + "." + key]?.double.map { JSONValue($0) }
    }
    let vocabulary =
      int("vocab_size") ?? file["tokenizer.ggml.tokens"]?.array.map { JSONValue($0.count) }
    let isTied = !file.entries.contains { $0.name == "output.weight" }
    var object = JSONObject()
    func special() {
      for (key, name) in [("bos", "bos"), ("eos", "eos"), ("padding", "pad")] {
        if let id = file["tokenizer.ggml.\(key)_token_id"]?.int {
          object[name + "_token_id"] = JSONValue(id)
        }
      }
    }
    switch architecture {
    case "gpt2":
      guard let width = int("embedding_length"), let layers = int("block_count"),
        let heads = int("attention.head_count"), let context = int("context_length")
      else { return nil }
      object["architectures"] = ["GPT2LMHeadModel"]
      object["model_type"] = "gpt2"
      object["n_embd"] = width
      object["n_layer"] = layers
      object["n_head"] = heads
      object["n_positions"] = context
      object["n_inner"] = int("feed_forward_length") ?? .null
      object["layer_norm_epsilon"] = number("attention.layer_norm_epsilon") ?? 1e-5
      object["activation_function"] = "gelu_new"
    case "llama", "qwen2", "qwen3":
      guard let width = int("embedding_length"), let layers = int("block_count"),
        let heads = int("attention.head_count"), let feedForward = int("feed_forward_length")
      else { return nil }
      let names = ["llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"]
      object["architectures"] = [.string((names[architecture] ?? "Llama") + "ForCausalLM")]
      object["model_type"] = .string(architecture)
      object["hidden_size"] = width
      object["num_hidden_layers"] = layers
      object["num_attention_heads"] = heads
      object["num_key_value_heads"] = int("attention.head_count_kv") ?? heads
      object["intermediate_size"] = feedForward
      object["head_dim"] = int("attention.key_length") ?? int("rope.dimension_count")
      object["max_position_embeddings"] = int("context_length") ?? 2048
      object["rms_norm_eps"] = number("attention.layer_norm_rms_epsilon") ?? 1e-5
      object["rope_theta"] = number("rope.freq_base") ?? 10000.0
      object["hidden_act"] = "silu"
      let hasBias = file.entries.contains { $0.name == "blk.0.attn_q.bias" }
      object["attention_bias"] = JSONValue(hasBias)
      if let factor = number("rope.scaling.factor"),
        file[architecture + ".rope.scaling.type"]?.string == "linear"
      {
        object["rope_scaling"] = ["rope_type": "linear", "factor": factor]
      }
    default: return nil
    }
    object["vocab_size"] = vocabulary
    object["tie_word_embeddings"] = JSONValue(isTied)
    special()
    return JSONValue.object(object).text(.pretty) + "\n"
  }

  /// Ways to split text, by llama.cpp's names, as tokenizer.json spells them.
  private static func splitting(_ name: String) -> JSONValue? {
    let bytes: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    ]
    let plainBytes: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    ]
    func split(_ pattern: String) -> JSONValue {
      [
        "type": "Sequence",
        "pretokenizers": [
          [
            "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
            "invert": false,
          ], plainBytes,
        ],
      ]
    }
    let words =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|DIGITS| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
    switch name {
    case "gpt-2", "gpt2": return bytes
    case "smollm":
      return [
        "type": "Sequence",
        "pretokenizers": [["type": "Digits", "individual_digits": true], bytes],
      ]
    case "llama-bpe", "llama3", "llama-v3":
      return split(words.replacing("DIGITS", with: "\\p{N}{1,3}"))
    case "qwen2": return split(words.replacing("DIGITS", with: "\\p{N}"))
    default: return nil
    }
  }

  /// tokenizer.json and tokenizer_config.json, for byte-level BPE with a known way to split; empty
  /// for other tokenizers, which a run then needs from elsewhere.
  static func tokenizer(_ file: GGUFFile) -> [String: String] {
    guard file["tokenizer.ggml.model"]?.string == "gpt2",
      let pre = splitting(file["tokenizer.ggml.pre"]?.string ?? "gpt-2"),
      let tokens = file["tokenizer.ggml.tokens"]?.array?.map({ $0.string ?? "" }),
      let merges = file["tokenizer.ggml.merges"]?.array
    else { return [:] }
    let kinds = file["tokenizer.ggml.token_type"]?.array?.map { $0.int ?? 1 } ?? []
    var vocabulary = JSONObject()
    var added: [JSONValue] = []
    for (id, token) in tokens.enumerated() {
      let kind = kinds.indices.contains(id) ? kinds[id] : 1
      // Unused rows have no token.
      if kind == 5 { continue }
      vocabulary[token] = JSONValue(id)
      if kind == 3 || kind == 4 {
        added.append([
          "id": JSONValue(id), "content": .string(token), "single_word": false, "lstrip": false,
          "rstrip": false, "normalized": false, "special": JSONValue(kind == 3),
        ])
      }
    }
    let text: JSONValue = [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added),
      "normalizer": nil, "pre_tokenizer": pre, "post_processor": nil,
      "decoder": [
        "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
      ],
      "model": [
        "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
        "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
        "vocab": .object(vocabulary), "merges": .array(merges.map { .string($0.string ?? "") }),
      ],
    ]
    var roles = JSONObject()
    for (key, name) in [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")] {
      if let id = file["tokenizer.ggml.\(key)_token_id"]?.int, tokens.indices.contains(id) {
        roles[name + "_token"] = .string(tokens[id])
      }
    }
    if let template = file["tokenizer.chat_template"]?.string {
      roles["chat_template"] = .string(template)
    }
    return [
      "tokenizer.json": text.text() + "\n",
      "tokenizer_config.json": JSONValue.object(roles).text(.pretty) + "\n",
    ]
  }
}
