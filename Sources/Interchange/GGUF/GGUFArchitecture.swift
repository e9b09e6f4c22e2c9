import Architectures
import Checkpoints
import Weights

/// A model in GGUF's words: the architecture's name, its metadata and its tensors' names.
struct GGUFArchitecture {
  /// `general.architecture`.
  let name: String
  let model: ModelDescription
  /// Whether rotary pairs are neighbours there: then rows of queries and keys change places, as
  /// checkpoints of this family pair the halves of a head.
  let interleavesRotary: Bool

  /// - Throws: `InterchangeError.modelNotPossible` for families that this export does not know.
  init(_ model: ModelDescription, path: String) throws(InterchangeError) {
    self.model = model
    switch (model.family, model.modelType) {
    case (.llama, "llama"), (.llama, "mistral"): (name, interleavesRotary) = ("llama", true)
    case (.llama, "qwen2"): (name, interleavesRotary) = ("qwen2", false)
    case (.llama, "qwen3"): (name, interleavesRotary) = ("qwen3", false)
    case (.gpt2, _): (name, interleavesRotary) = ("gpt2", false)
    default:
      throw .modelNotPossible(
        path: path, format: "GGUF",
        reason: "model type '\(model.modelType)' has no counterpart here; Llama, Mistral, Qwen2, "
          + "Qwen3 and GPT-2 have")
    }
    for block in model.blocks where block.window != nil {
      throw .modelNotPossible(
        path: path, format: "GGUF",
        reason: "block \(block.index) sees a sliding window, which is not written yet")
    }
  }

  /// The hyperparameters under the architecture's name.
  func metadata() -> [(key: String, value: GGUFValue)] {
    func key(_ name: String) -> String { self.name + "." + name }
    func count(_ value: Int) -> GGUFValue { .u32(UInt32(value)) }
    var result: [(key: String, value: GGUFValue)] = [
      (key("block_count"), count(model.blocks.count)),
      (key("context_length"), count(model.maximumPositions)),
      (key("embedding_length"), count(model.hiddenSize)),
      (key("feed_forward_length"), count(model.blocks.first?.feedForward.width ?? 0)),
      (key("attention.head_count"), count(model.attention.heads)),
    ]
    if model.family == .gpt2 {
      result.append((key("attention.layer_norm_epsilon"), .f32(Float(model.normalization.epsilon))))
      return result
    }
    result += [
      (key("attention.head_count_kv"), count(model.attention.keyValueHeads)),
      (
        key("attention.layer_norm_rms_epsilon"), .f32(Float(model.normalization.epsilon))
      ),
      (key("vocab_size"), count(model.vocabularySize)),
      (key("attention.key_length"), count(model.attention.headDimension)),
      (key("attention.value_length"), count(model.attention.headDimension)),
    ]
    if case .rotary(let rotary) = model.positions {
      result += [
        (key("rope.dimension_count"), count(model.attention.headDimension)),
        (key("rope.freq_base"), .f32(Float(rotary.theta))),
      ]
      if case .linear(let factor) = rotary.scaling {
        result += [
          (key("rope.scaling.type"), .string("linear")),
          (key("rope.scaling.factor"), .f32(Float(factor))),
        ]
      }
    }
    return result
  }

  /// What each rotary frequency is divided by, where they are not simply scaled (Llama 3.1): a
  /// tensor of the file.
  func rotaryFactors() -> [Float]? {
    guard case .rotary(let rotary) = model.positions, case .llama3 = rotary.scaling else {
      return nil
    }
    let dimension = model.attention.headDimension
    let plain = RotaryEncoding(theta: rotary.theta).frequencies(dimension: dimension)
    return zip(plain, rotary.frequencies(dimension: dimension)).map { Float($0 / $1) }
  }

  /// A tensor of the file.
  struct Place: Sendable {
    var name: String
    /// The tensor of the artefact.
    var source: String
    /// Rows (or entries of a bias) in the file's order; nil as they are.
    var rowOrder: [Int]?
    /// How the artefact's tensor lies; the file has outputs first.
    var layout = WeightView.Layout.outputsFirst
    /// Norms and biases are f32 always.
    var isVector: Bool
  }

  /// The tensors in the file's order.
  func places() -> [Place] {
    var result = [Place(name: "token_embd.weight", source: model.embedding.tokens, isVector: false)]
    if case .learned(let table, _, _) = model.positions {
      result.append(Place(name: "position_embd.weight", source: table, isVector: false))
    }
    for block in model.blocks { result += places(of: block) }
    if let norm = model.finalNorm { result += vectors("output_norm", norm.weight, norm.bias) }
    if let head = model.head, !head.tied {
      result.append(Place(name: "output.weight", source: head.weight, isVector: false))
    }
    return result
  }

  private func places(of block: BlockDescription) -> [Place] {
    let prefix = "blk.\(block.index)."
    let shape = model.attention
    var result = vectors(prefix + "attn_norm", block.attentionNorm.weight, block.attentionNorm.bias)
    switch block.projections {
    case .separate(let query, let key, let value):
      result += linear(prefix + "attn_q", query, rotaryOrder(heads: shape.heads))
      result += linear(prefix + "attn_k", key, rotaryOrder(heads: shape.keyValueHeads))
      result += linear(prefix + "attn_v", value)
    case .fused(let linear): result += self.linear(prefix + "attn_qkv", linear)
    }
    if let norm = block.queryNorm { result += vectors(prefix + "attn_q_norm", norm.weight, nil) }
    if let norm = block.keyNorm { result += vectors(prefix + "attn_k_norm", norm.weight, nil) }
    result += linear(prefix + "attn_output", block.attentionOutput)
    result += vectors(prefix + "ffn_norm", block.feedForwardNorm.weight, block.feedForwardNorm.bias)
    switch block.feedForward {
    case .gated(let gate, let up, let down, _):
      result += linear(prefix + "ffn_gate", gate) + linear(prefix + "ffn_up", up)
      result += linear(prefix + "ffn_down", down)
    case .plain(let first, let second, _):
      result += linear(prefix + "ffn_up", first) + linear(prefix + "ffn_down", second)
    }
    return result
  }

  private func vectors(_ name: String, _ weight: String, _ bias: String?) -> [Place] {
    [Place(name: name + ".weight", source: weight, isVector: true)]
      + (bias.map { [Place(name: name + ".bias", source: $0, isVector: true)] } ?? [])
  }

  private func linear(
    _ name: String, _ linear: LinearDescription, _ order: [Int]? = nil
  ) -> [Place] {
    let weight = Place(
      name: name + ".weight", source: linear.weight, rowOrder: order, layout: linear.layout,
      isVector: false)
    return [weight]
      + (linear.bias.map {
        [Place(name: name + ".bias", source: $0, rowOrder: order, isVector: true)]
      } ?? [])
  }

  /// Row 2i + j of a head is row j·d/2 + i of the checkpoint's.
  private func rotaryOrder(heads: Int) -> [Int]? {
    guard interleavesRotary else { return nil }
    let width = model.attention.headDimension
    return (0..<heads).flatMap { head in
      (0..<width).map { head * width + $0 % 2 * (width / 2) + $0 / 2 }
    }
  }
}
