import Architectures
import Checkpoints
import Tensors
import Weights

/// What the tensors of a model are: told by its configuration where the family is known, else from
/// shapes, names and what the container says.
///
/// A recipe that names no targets compresses the weights of linear and convolution layers.
/// Embeddings and heads stay dense unless they are named.
struct TensorClassifier {
  enum Kind: Hashable {
    case weight(WeightView)
    case left(TensorDecision.LeaveReason)
    /// Left unless a selector names it; the view is for that case.
    case leftUnlessTargeted(TensorDecision.LeaveReason, WeightView)
  }

  /// The tensors of a known family; empty when the configuration is missing or not understood: then
  /// names have to do, and methods that need no forward pass work all the same.
  private let expected: [String: ExpectedTensor]
  /// Whether the container names the layout of every kernel: what has none is not a kernel.
  private let namesLayouts: Bool
  /// The table that the head multiplies, under the name that it is stored by.
  private let head: String?

  init(_ source: any TensorSource) {
    let description = source.metadata.configuration.flatMap {
      try? ModelDescription.resolve(configuration: $0, tensors: source.tensors).description
    }
    expected = Dictionary(
      description?.tensors.map { ($0.name, $0) } ?? []
    ) { first, _ in first }
    let weight = description?.head?.weight
    head = source.tensors.first { $0.name == weight }?.sharesStorageWith ?? weight
    namesLayouts = source.format.hasPrefix("Keras")
  }

  func kind(of tensor: TensorDescription) -> Kind {
    guard tensor.shape.elementCount > 0 else { return .left(.empty) }
    guard tensor.shape.rank >= 2 else { return .left(.notAMatrix(rank: tensor.shape.rank)) }
    guard [.f64, .f32, .f16, .bf16].contains(tensor.dtype) else {
      return .left(.notFloatingPoint(tensor.dtype))
    }
    let plain = WeightView(sourceShape: tensor.shape, layout: .outputsFirst)
    if let known = expected[tensor.name] { return kind(of: tensor, known, plain) }
    switch tensor.attributes["role"]?.string {
    case "embedding": return .leftUnlessTargeted(.embedding, plain)
    case "optimizer": return .left(.optimizer)
    default: break
    }
    if namesLayouts || tensor.attributes["layout"] != nil {
      guard let layout = Self.layout(of: tensor) else { return .left(.unknownLayout) }
      return .weight(WeightView(sourceShape: tensor.shape, layout: layout))
    }
    return Self.kind(byName: tensor.name, plain)
  }

  /// Whether a tensor's rows are only ever looked up.
  func isLookedUp(_ tensor: TensorDescription, _ kind: Kind) -> Bool {
    switch kind {
    case .leftUnlessTargeted(.embedding, _), .leftUnlessTargeted(.positions, _):
      tensor.name != head
    default: false
    }
  }

  private func kind(
    of tensor: TensorDescription, _ known: ExpectedTensor, _ plain: WeightView
  ) -> Kind {
    switch known.role {
    case .embedding: .leftUnlessTargeted(.embedding, plain)
    case .head: .leftUnlessTargeted(.head, plain)
    case .position: .leftUnlessTargeted(.positions, plain)
    case .linear: .weight(WeightView(sourceShape: tensor.shape, layout: known.layout))
    case .norm, .bias, .other: .leftUnlessTargeted(.notALayer, plain)
    }
  }

  /// The layout that a container's attributes state; nil when it is not one that a matrix has.
  private static func layout(of tensor: TensorDescription) -> WeightView.Layout? {
    let text = tensor.attributes["layout"]?.string ?? ""
    if let layout = WeightView.Layout(rawValue: text) { return layout }
    guard text == "output_axes", let axes = tensor.attributes["output_axes"]?.ints else {
      return nil
    }
    return axes == Array(1..<tensor.shape.rank) ? .inputsFirst : nil
  }

  /// Name segments of token and position tables.
  private static let embeddingSegments: Set<String> = [
    "embed_tokens", "embed_positions", "wte", "wpe", "word_embeddings", "position_embeddings",
    "token_type_embeddings", "tok_embeddings", "token_embedding", "embedding", "embeddings",
    "token_embd",
  ]
  /// Name segments of output heads.
  private static let headSegments: Set<String> = ["lm_head", "embed_out", "output_projection"]

  private static func kind(byName name: String, _ view: WeightView) -> Kind {
    let segments = name.split { $0 == "." || $0 == "/" }.map(String.init)
    if segments.contains(where: embeddingSegments.contains) {
      return .leftUnlessTargeted(.embedding, view)
    }
    if segments.contains(where: headSegments.contains) || segments == ["output", "weight"] {
      return .leftUnlessTargeted(.head, view)
    }
    return .weight(view)
  }
}
