import JSONText

extension ModelDescription {
  /// OPT: learned positions with an offset of 2, LayerNorm, biases.
  init(
    opt reader: ConfigurationReader, naming: TensorNaming, withHead: Bool
  ) throws(ArchitectureError) {
    let names = NameBuilder(prefix: "model.", naming: naming)
    let hidden = try reader.count("hidden_size")
    let vocabulary = try reader.count("vocab_size")
    let layers = try reader.count("num_hidden_layers")
    let width = try reader.count("ffn_dim")
    let heads = try reader.count("num_attention_heads")
    let positions = try reader.count("max_position_embeddings", default: 2048)
    let embeddingWidth = try reader.count("word_embed_proj_dim", default: hidden)
    let bias = try reader.flag("enable_bias", default: true)
    let before = try reader.flag("do_layer_norm_before", default: true)
    let tied = try reader.flag("tie_word_embeddings", default: true)
    let activation = try reader.activation("activation_function", default: .relu)
    try reader.require("layer_norm_elementwise_affine", is: true)
    try reader.require("_remove_final_layer_norm", is: false)
    let dimension = try HeadCounts.dimension(
      hidden: hidden, hiddenKey: "hidden_size", heads: heads, headsKey: "num_attention_heads")

    let stream = (hidden, "hidden_size")
    let inner = (width, "ffn_dim")
    let table = (embeddingWidth, "word_embed_proj_dim")
    let projected = embeddingWidth != hidden
    func norm(_ name: String) -> NormDescription {
      names.norm("decoder." + name, width: hidden, bias: true, from: "hidden_size = \(hidden)")
    }

    self.init(
      family: .opt, modelType: "opt", architectures: try reader.texts("architectures") ?? [],
      hiddenSize: hidden, vocabularySize: vocabulary, maximumPositions: positions,
      attention: AttentionShape(
        heads: heads, keyValueHeads: heads, headDimension: dimension, causal: true),
      normalization: Normalization(
        kind: .layer, placement: before ? .before : .after, epsilon: 1e-5),
      positions: .learned(
        table: names.trunk("decoder.embed_positions.weight"), rows: positions + 2, offset: 2),
      embedding: EmbeddingDescription(
        tokens: names.trunk("decoder.embed_tokens.weight"), width: embeddingWidth,
        tokenTypes: nil, tokenTypeRows: 0, norm: nil,
        projection: projected
          ? names.linear("decoder.project_in", stream, table, bias: false) : nil),
      blocks: (0..<layers).map { index in
        let layer = "decoder.layers.\(index)."
        func map(_ name: String) -> LinearDescription {
          names.linear(layer + "self_attn." + name, stream, stream, bias: bias)
        }
        return BlockDescription(
          index: index, attentionNorm: norm("layers.\(index).self_attn_layer_norm"),
          projections: .separate(query: map("q_proj"), key: map("k_proj"), value: map("v_proj")),
          attentionOutput: map("out_proj"), queryNorm: nil, keyNorm: nil, window: nil,
          feedForwardNorm: norm("layers.\(index).final_layer_norm"),
          feedForward: .plain(
            first: names.linear(layer + "fc1", inner, stream, bias: bias),
            second: names.linear(layer + "fc2", stream, inner, bias: bias), activation))
      },
      finalNorm: before ? norm("final_layer_norm") : nil,
      outputProjection: projected
        ? names.linear("decoder.project_out", table, stream, bias: false) : nil,
      head: withHead
        ? HeadDescription(
          weight: tied ? names.trunk("decoder.embed_tokens.weight") : "lm_head.weight",
          tied: tied, bias: nil, width: embeddingWidth, transform: nil) : nil,
      naming: naming)
  }
}
