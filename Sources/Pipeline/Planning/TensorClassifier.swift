import Checkpoints
import Tensors
import Weights

/// What a tensor is, told from its shape, its name and what the container says of it.
///
/// A recipe that names no targets compresses the weights of linear and convolution layers.
/// Embeddings and heads stay dense unless they are named.
enum TensorClassifier {
  enum Kind: Hashable {
    case weight(WeightView)
    case left(TensorDecision.LeaveReason)
    /// Left unless a selector names it; the view is for that case.
    case leftUnlessTargeted(TensorDecision.LeaveReason, WeightView)
  }

  /// Name segments of token and position tables.
  private static let embeddingSegments: Set<String> = [
    "embed_tokens", "embed_positions", "wte", "wpe", "word_embeddings", "position_embeddings",
    "token_type_embeddings", "tok_embeddings", "token_embedding", "embedding", "embeddings",
    "token_embd",
  ]
  /// Name segments of output heads.
  private static let headSegments: Set<String> = ["lm_head", "embed_out", "output_projection"]

  static func kind(of tensor: TensorDescription) -> Kind {
    guard tensor.shape.elementCount > 0 else { return .left(.empty) }
    guard tensor.shape.rank >= 2 else { return .left(.notAMatrix(rank: tensor.shape.rank)) }
    guard [.f64, .f32, .f16, .bf16].contains(tensor.dtype) else {
      return .left(.notFloatingPoint(tensor.dtype))
    }
    let view = WeightView(sourceShape: tensor.shape, layout: layout(of: tensor))
    if tensor.attributes["layout"]?.string == "unknown" {
      return .leftUnlessTargeted(.unknownLayout, view)
    }
    let segments = tensor.name.split { $0 == "." || $0 == "/" }.map(String.init)
    if tensor.attributes["role"]?.string == "embedding"
      || segments.contains(where: embeddingSegments.contains)
    {
      return .leftUnlessTargeted(.embedding, view)
    }
    if segments.contains(where: headSegments.contains) || segments == ["output", "weight"] {
      return .leftUnlessTargeted(.head, view)
    }
    return .weight(view)
  }

  /// Keras kernels are outputs-last and say so; GPT-2's Conv1D is known by its names.
  private static func layout(of tensor: TensorDescription) -> WeightView.Layout {
    if let text = tensor.attributes["layout"]?.string,
      let layout = WeightView.Layout(rawValue: text)
    {
      return layout
    }
    return .outputsFirst
  }
}
