import JSONText

extension ModelDescription {
  /// BERT, RoBERTa and XLM-RoBERTa: encoders with norms after the residual sums.
  init(
    bert reader: ConfigurationReader, type: String, naming: TensorNaming, withHead: Bool
  ) throws(ArchitectureError) {
    let roberta = type != "bert"
    let names = NameBuilder(prefix: roberta ? "roberta." : "bert.", naming: naming)
    let hidden = try reader.count("hidden_size")
    let vocabulary = try reader.count("vocab_size")
    let layers = try reader.count("num_hidden_layers")
    let width = try reader.count("intermediate_size")
    let heads = try reader.count("num_attention_heads")
    let rows = try reader.count("max_position_embeddings", default: 512)
    let types = try reader.count("type_vocab_size", default: 2)
    let activation = try reader.activation("hidden_act", default: .gelu)
    let epsilon = try reader.number("layer_norm_eps", default: 1e-12)
    let tied = try reader.flag("tie_word_embeddings", default: true)
    try reader.require("is_decoder", is: false)
    if let kind = try reader.text("position_embedding_type"), kind != "absolute" {
      throw .unsupported(
        key: "position_embedding_type", found: "'\(kind)'", supported: "'absolute'")
    }
    // RoBERTa counts positions from the padding token's number plus one.
    let offset = roberta ? try reader.integer("pad_token_id", default: 1) + 1 : 0
    guard offset >= 0, rows > offset else {
      throw .contradiction(
        left: "'max_position_embeddings' is \(rows)",
        right: "positions start at 'pad_token_id' + 1 = \(offset)", why: "no position is left")
    }
    let dimension = try HeadCounts.dimension(
      hidden: hidden, hiddenKey: "hidden_size", heads: heads, headsKey: "num_attention_heads")

    let stream = (hidden, "hidden_size")
    let inner = (width, "intermediate_size")
    let from = "hidden_size = \(hidden)"
    func norm(_ name: String) -> NormDescription {
      names.norm(name, width: hidden, bias: true, from: from)
    }
    let table = names.trunk("embeddings.word_embeddings.weight")
    let headBase = roberta ? "lm_head." : "cls.predictions."
    let transform = HeadTransform(
      dense: names.linear(
        headBase + (roberta ? "dense" : "transform.dense"), stream, stream, bias: true,
        full: true),
      activation: roberta ? .gelu : activation,
      norm: names.norm(
        headBase + (roberta ? "layer_norm" : "transform.LayerNorm"), width: hidden, bias: true,
        from: from, full: true))

    self.init(
      family: .bert, modelType: type, architectures: try reader.texts("architectures") ?? [],
      hiddenSize: hidden, vocabularySize: vocabulary, maximumPositions: rows - offset,
      attention: AttentionShape(
        heads: heads, keyValueHeads: heads, headDimension: dimension, causal: false),
      normalization: Normalization(kind: .layer, placement: .after, epsilon: epsilon),
      positions: .learned(
        table: names.trunk("embeddings.position_embeddings.weight"), rows: rows, offset: offset),
      embedding: EmbeddingDescription(
        tokens: table, width: hidden,
        tokenTypes: names.trunk("embeddings.token_type_embeddings.weight"), tokenTypeRows: types,
        norm: norm("embeddings.LayerNorm"), projection: nil),
      blocks: (0..<layers).map { index in
        let layer = "encoder.layer.\(index)."
        func map(_ name: String) -> LinearDescription {
          names.linear(layer + "attention." + name, stream, stream, bias: true)
        }
        return BlockDescription(
          index: index, attentionNorm: norm(layer + "attention.output.LayerNorm"),
          projections: .separate(
            query: map("self.query"), key: map("self.key"), value: map("self.value")),
          attentionOutput: map("output.dense"), queryNorm: nil, keyNorm: nil, window: nil,
          feedForwardNorm: norm(layer + "output.LayerNorm"),
          feedForward: .plain(
            first: names.linear(layer + "intermediate.dense", inner, stream, bias: true),
            second: names.linear(layer + "output.dense", stream, inner, bias: true), activation))
      },
      finalNorm: nil, outputProjection: nil,
      head: withHead
        ? HeadDescription(
          weight: tied ? table : headBase + "decoder.weight", tied: tied,
          bias: headBase + "bias", width: hidden, transform: transform) : nil,
      naming: naming)
  }
}
