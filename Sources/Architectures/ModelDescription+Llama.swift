import JSONText

extension ModelDescription {
  /// Llama 1 to 3, Mistral, Qwen2, Qwen3, SmolLM2.
  init(
    llama reader: ConfigurationReader, type: String, naming: TensorNaming, withHead: Bool
  ) throws(ArchitectureError) {
    let names = NameBuilder(prefix: "model.", naming: naming)
    let hidden = try reader.count("hidden_size")
    let vocabulary = try reader.count("vocab_size")
    let layers = try reader.count("num_hidden_layers")
    let width = try reader.count("intermediate_size")
    let shape = try Self.llamaAttention(reader, type: type, hidden: hidden)
    // Qwen2 has biases on queries, keys and values, never on the output, and no key that says so.
    let declaredBias = try reader.flag("attention_bias", default: false)
    let attentionBias = type == "qwen2" || declaredBias
    let outputBias = type != "qwen2" && declaredBias
    let feedForwardBias = try reader.flag("mlp_bias", default: false)
    let activation = try reader.activation("hidden_act", default: .silu)
    let windows = try Self.windows(reader, type: type, layers: layers)
    let positions = try reader.count("max_position_embeddings", default: 2048)
    let tied = try reader.flag("tie_word_embeddings", default: false)

    let stream = (hidden, "hidden_size")
    let query = (shape.queryWidth, "num_attention_heads × head_dim")
    let keyValue = (shape.keyValueWidth, "num_key_value_heads × head_dim")
    let inner = (width, "intermediate_size")
    func norm(_ name: String) -> NormDescription {
      names.norm(name, width: hidden, bias: false, from: "hidden_size = \(hidden)")
    }
    func headNorm(_ name: String) -> NormDescription? {
      type == "qwen3"
        ? names.norm(
          name, width: shape.headDimension, bias: false, from: "head_dim = \(shape.headDimension)")
        : nil
    }

    self.init(
      family: .llama, modelType: type, architectures: try reader.texts("architectures") ?? [],
      hiddenSize: hidden, vocabularySize: vocabulary, maximumPositions: positions,
      attention: shape,
      normalization: Normalization(
        kind: .rootMeanSquare, placement: .before,
        epsilon: try reader.number("rms_norm_eps", default: 1e-6)),
      positions: .rotary(try RotaryEncoding(reader, maximumPositions: positions)),
      embedding: EmbeddingDescription(
        tokens: names.trunk("embed_tokens.weight"), width: hidden, tokenTypes: nil,
        tokenTypeRows: 0, norm: nil, projection: nil),
      blocks: (0..<layers).map { index in
        let attention = "layers.\(index).self_attn."
        let feedForward = "layers.\(index).mlp."
        return BlockDescription(
          index: index, attentionNorm: norm("layers.\(index).input_layernorm"),
          projections: .separate(
            query: names.linear(attention + "q_proj", query, stream, bias: attentionBias),
            key: names.linear(attention + "k_proj", keyValue, stream, bias: attentionBias),
            value: names.linear(attention + "v_proj", keyValue, stream, bias: attentionBias)),
          attentionOutput: names.linear(attention + "o_proj", stream, query, bias: outputBias),
          queryNorm: headNorm(attention + "q_norm"), keyNorm: headNorm(attention + "k_norm"),
          window: windows[index],
          feedForwardNorm: norm("layers.\(index).post_attention_layernorm"),
          feedForward: .gated(
            gate: names.linear(feedForward + "gate_proj", inner, stream, bias: feedForwardBias),
            up: names.linear(feedForward + "up_proj", inner, stream, bias: feedForwardBias),
            down: names.linear(feedForward + "down_proj", stream, inner, bias: feedForwardBias),
            activation))
      },
      finalNorm: norm("norm"), outputProjection: nil,
      head: withHead
        ? HeadDescription(
          weight: tied ? names.trunk("embed_tokens.weight") : "lm_head.weight", tied: tied,
          bias: nil, width: hidden, transform: nil) : nil,
      naming: naming)
  }

  private static func llamaAttention(
    _ reader: ConfigurationReader, type: String, hidden: Int
  ) throws(ArchitectureError) -> AttentionShape {
    let heads = try reader.count("num_attention_heads")
    // Mistral's configuration class fills in 8, Qwen3's a head dimension of 128.
    let keyValueHeads = try reader.count(
      "num_key_value_heads", default: type == "mistral" ? 8 : heads)
    guard heads % keyValueHeads == 0 else {
      throw .contradiction(
        left: "'num_attention_heads' is \(heads)",
        right: "'num_key_value_heads' is \(keyValueHeads)",
        why: "the key/value heads must divide the heads")
    }
    var dimension = try reader.optionalCount("head_dim")
    if dimension == nil {
      dimension =
        type == "qwen3"
        ? 128
        : try HeadCounts.dimension(
          hidden: hidden, hiddenKey: "hidden_size", heads: heads, headsKey: "num_attention_heads")
    }
    let found = dimension ?? 0
    guard found % 2 == 0 else {
      throw .unsupported(key: "head_dim", found: "\(found)", supported: "even numbers")
    }
    return AttentionShape(
      heads: heads, keyValueHeads: keyValueHeads, headDimension: found, causal: true)
  }

  /// The sliding window of every layer, nil where a layer sees everything.
  private static func windows(
    _ reader: ConfigurationReader, type: String, layers: Int
  ) throws(ArchitectureError) -> [Int?] {
    var window = try reader.optionalCount("sliding_window")
    switch type {
    case "mistral":
      // The configuration class fills in 4096 where the key is missing; null turns it off.
      if reader.object["sliding_window"] == nil { window = 4096 }
    case "qwen2", "qwen3":
      let used = try reader.flag("use_sliding_window", default: false)
      window = used ? window ?? 4096 : nil
    default:
      window = nil
    }
    guard let window else { return Array(repeating: nil, count: layers) }
    if let kinds = try reader.texts("layer_types") {
      guard kinds.count == layers else {
        throw .contradiction(
          left: "'num_hidden_layers' is \(layers)", right: "'layer_types' has \(kinds.count)",
          why: "every layer has one type")
      }
      for kind in kinds where !["full_attention", "sliding_attention"].contains(kind) {
        throw .unsupported(
          key: "layer_types", found: "'\(kind)'",
          supported: "full_attention, sliding_attention")
      }
      return kinds.map { $0 == "sliding_attention" ? window : nil }
    }
    if type == "mistral" { return Array(repeating: window, count: layers) }
    let first = try reader.integer("max_window_layers", default: 28)
    return (0..<layers).map { $0 >= first ? window : nil }
  }
}
