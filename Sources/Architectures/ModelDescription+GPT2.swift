import JSONText

extension ModelDescription {
  /// GPT-2: learned positions, LayerNorm, fused projections stored in × out (Conv1D).
  init(
    gpt2 reader: ConfigurationReader, naming: TensorNaming, withHead: Bool
  ) throws(ArchitectureError) {
    let names = NameBuilder(prefix: "transformer.", naming: naming)
    let hidden = try reader.count("n_embd")
    let vocabulary = try reader.count("vocab_size")
    let layers = try reader.count("n_layer")
    let heads = try reader.count("n_head")
    let width = try reader.count("n_inner", default: 4 * hidden)
    let positions = try reader.count("n_positions", default: 1024)
    let activation = try reader.activation("activation_function", default: .geluTanh)
    let epsilon = try reader.number("layer_norm_epsilon", default: 1e-5)
    let tied = try reader.flag("tie_word_embeddings", default: true)
    try reader.require("scale_attn_weights", is: true)
    try reader.require("scale_attn_by_inverse_layer_idx", is: false)
    try reader.require("add_cross_attention", is: false)
    let dimension = try HeadCounts.dimension(
      hidden: hidden, hiddenKey: "n_embd", heads: heads, headsKey: "n_head")

    let stream = (hidden, "n_embd")
    let inner = (width, "n_inner")
    func norm(_ name: String) -> NormDescription {
      names.norm(name, width: hidden, bias: true, from: "n_embd = \(hidden)")
    }

    self.init(
      family: .gpt2, modelType: "gpt2", architectures: try reader.texts("architectures") ?? [],
      hiddenSize: hidden, vocabularySize: vocabulary, maximumPositions: positions,
      attention: AttentionShape(
        heads: heads, keyValueHeads: heads, headDimension: dimension, causal: true),
      normalization: Normalization(kind: .layer, placement: .before, epsilon: epsilon),
      positions: .learned(table: names.trunk("wpe.weight"), rows: positions, offset: 0),
      embedding: EmbeddingDescription(
        tokens: names.trunk("wte.weight"), width: hidden, tokenTypes: nil, tokenTypeRows: 0,
        norm: nil, projection: nil),
      blocks: (0..<layers).map { index in
        func map(
          _ name: String, _ outputs: (Int, String), _ inputs: (Int, String)
        ) -> LinearDescription {
          names.linear("h.\(index)." + name, outputs, inputs, bias: true, layout: .outputsLast)
        }
        return BlockDescription(
          index: index, attentionNorm: norm("h.\(index).ln_1"),
          projections: .fused(map("attn.c_attn", (3 * hidden, "3 × n_embd"), stream)),
          attentionOutput: map("attn.c_proj", stream, stream), queryNorm: nil, keyNorm: nil,
          window: nil, feedForwardNorm: norm("h.\(index).ln_2"),
          feedForward: .plain(
            first: map("mlp.c_fc", inner, stream), second: map("mlp.c_proj", stream, inner),
            activation))
      },
      finalNorm: norm("ln_f"), outputProjection: nil,
      head: withHead
        ? HeadDescription(
          weight: tied ? names.trunk("wte.weight") : "lm_head.weight", tied: tied, bias: nil,
          width: hidden, transform: nil) : nil,
      naming: naming)
  }
}
