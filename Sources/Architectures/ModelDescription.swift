import Weights

/// A model as data: what the one forward pass reads, and which tensors it is made of.
///
/// Made from config.json (`init(configuration:)`) and matched with a checkpoint's tensors by
/// `resolve(configuration:tensors:)`, which also settles how the checkpoint spells its names.
public struct ModelDescription: Sendable, Hashable {
  public let family: ModelFamily
  /// `model_type` of config.json.
  public let modelType: String
  /// `architectures` of config.json.
  public let architectures: [String]
  /// The width of the residual stream.
  public let hiddenSize: Int
  public let vocabularySize: Int
  /// How many tokens a sequence may have.
  public let maximumPositions: Int
  public let attention: AttentionShape
  public let normalization: Normalization
  public let positions: PositionEncoding
  public let embedding: EmbeddingDescription
  /// In order of execution.
  public let blocks: [BlockDescription]
  /// The norm after the last block, if any.
  public let finalNorm: NormDescription?
  /// A linear map after the final norm (OPT with a narrow embedding).
  public let outputProjection: LinearDescription?
  /// What makes logits; nil for an encoder without a language-model head.
  public let head: HeadDescription?
  /// How the checkpoint spells names.
  public let naming: TensorNaming
}

/// The families that one forward pass covers.
public enum ModelFamily: String, Sendable, Hashable, CaseIterable {
  case llama, opt, gpt2, bert
}

/// How heads are laid out.
public struct AttentionShape: Sendable, Hashable {
  public let heads: Int
  /// Heads of keys and values; a divisor of `heads`.
  public let keyValueHeads: Int
  public let headDimension: Int
  /// Whether a token sees only those before it.
  public let causal: Bool
  /// The width of all query heads.
  public var queryWidth: Int { heads * headDimension }
  /// The width of all key (or value) heads.
  public var keyValueWidth: Int { keyValueHeads * headDimension }
}

/// Which norm, where, and its epsilon.
public struct Normalization: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable { case rootMeanSquare, layer }
  public enum Placement: String, Sendable, Hashable {
    /// Before attention and feed-forward, on a copy of the residual stream.
    case before
    /// After each residual sum (BERT, OPT-350m).
    case after
  }
  public let kind: Kind
  public let placement: Placement
  public let epsilon: Double
}

/// How tokens learn where they are.
public enum PositionEncoding: Sendable, Hashable {
  case rotary(RotaryEncoding)
  /// A table of learned rows; token i of a sequence takes row i + offset.
  case learned(table: String, rows: Int, offset: Int)
}

/// The tensors before the first block.
public struct EmbeddingDescription: Sendable, Hashable {
  /// `vocabulary × width`.
  public let tokens: String
  /// The width of the table; differs from the hidden size when there is a projection.
  public let width: Int
  /// Segment embeddings, row 0 of which is added to every token.
  public let tokenTypes: String?
  public let tokenTypeRows: Int
  public let norm: NormDescription?
  public let projection: LinearDescription?
}

/// A norm's tensors.
public struct NormDescription: Sendable, Hashable {
  public let weight: String
  public let bias: String?
  public let width: Int
  /// Where the width comes from, for messages.
  public let from: String
}

/// A linear layer's tensors, y = x Wᵀ + bias.
public struct LinearDescription: Sendable, Hashable {
  /// The module's name: "model.layers.0.self_attn.q_proj".
  public let module: String
  /// The weight tensor's name.
  public let weight: String
  public let bias: String?
  public let outputs: Int
  public let inputs: Int
  public let layout: WeightView.Layout
  /// Where the extents come from, for messages.
  public let from: String

  /// The tensor's shape in the checkpoint.
  public var shape: [Int] { layout == .outputsFirst ? [outputs, inputs] : [inputs, outputs] }

  /// How the tensor is seen as out × in.
  public var view: WeightView { WeightView(sourceShape: .init(shape), layout: layout) }
}

/// One block: attention and feed-forward.
public struct BlockDescription: Sendable, Hashable {
  public let index: Int
  public let attentionNorm: NormDescription
  public let projections: AttentionProjections
  public let attentionOutput: LinearDescription
  /// Norms over each query and key head (Qwen3).
  public let queryNorm: NormDescription?
  public let keyNorm: NormDescription?
  /// A token sees at most this many tokens, itself included; nil: all before it.
  public let window: Int?
  public let feedForwardNorm: NormDescription
  public let feedForward: FeedForward

  /// The linear layers in order of execution.
  public var linears: [LinearDescription] {
    projections.linears + [attentionOutput] + feedForward.linears
  }

  /// The readers of each of `sites`.
  public var linearsBySite: [[LinearDescription]] {
    switch feedForward {
    case .gated(let gate, let up, let down, _):
      [projections.linears, [attentionOutput], [gate, up], [down]]
    case .plain(let first, let second, _):
      [projections.linears, [attentionOutput], [first], [second]]
    }
  }

  /// The inputs that linear layers read, in order of execution.
  public var sites: [SiteDescription] {
    [SiteDescription(projections.linears), SiteDescription([attentionOutput])]
      + feedForward.sites
  }
}

/// The maps to queries, keys and values.
public enum AttentionProjections: Sendable, Hashable {
  case separate(query: LinearDescription, key: LinearDescription, value: LinearDescription)
  /// One map whose outputs are queries, keys and values side by side (GPT-2).
  case fused(LinearDescription)

  public var linears: [LinearDescription] {
    switch self {
    case .separate(let query, let key, let value): [query, key, value]
    case .fused(let linear): [linear]
    }
  }
}

/// The position-wise part of a block.
public enum FeedForward: Sendable, Hashable {
  /// down(activation(gate(x)) · up(x)).
  case gated(
    gate: LinearDescription, up: LinearDescription, down: LinearDescription, Activation)
  /// second(activation(first(x))).
  case plain(first: LinearDescription, second: LinearDescription, Activation)

  public var linears: [LinearDescription] {
    switch self {
    case .gated(let gate, let up, let down, _): [gate, up, down]
    case .plain(let first, let second, _): [first, second]
    }
  }

  public var sites: [SiteDescription] {
    switch self {
    case .gated(let gate, let up, let down, _):
      [SiteDescription([gate, up]), SiteDescription([down])]
    case .plain(let first, let second, _):
      [SiteDescription([first]), SiteDescription([second])]
    }
  }

  /// The width between the maps.
  public var width: Int {
    switch self {
    case .gated(_, _, let down, _): down.inputs
    case .plain(_, let second, _): second.inputs
    }
  }

  public var activation: Activation {
    switch self {
    case .gated(_, _, _, let activation), .plain(_, _, let activation): activation
    }
  }
}

/// One input and the linear layers that read it.
public struct SiteDescription: Sendable, Hashable {
  /// The first reader's module name; statistics are stored under it.
  public let name: String
  /// The modules that read this input.
  public let readers: [String]
  /// The input's width.
  public let width: Int

  init(_ linears: [LinearDescription]) {
    readers = linears.map(\.module)
    name = readers.first ?? ""
    width = linears.first?.inputs ?? 0
  }
}

/// What makes logits of the last hidden states.
public struct HeadDescription: Sendable, Hashable {
  /// `vocabulary × width`; the embedding's name when tied.
  public let weight: String
  public let tied: Bool
  public let bias: String?
  public let width: Int
  /// The masked-LM head's map before the vocabulary: norm(activation(dense(x))).
  public let transform: HeadTransform?
}

/// The masked-LM head's first map.
public struct HeadTransform: Sendable, Hashable {
  public let dense: LinearDescription
  public let activation: Activation
  public let norm: NormDescription
}

/// How a checkpoint spells the names of one architecture.
public struct TensorNaming: Sendable, Hashable {
  /// Whether the trunk's prefix ("model.", "transformer.", "bert." …) is there.
  public var prefixed = true
  /// Whether layer norms are called gamma and beta (old BERT checkpoints).
  public var gammaBeta = false

  public init() {}
}
