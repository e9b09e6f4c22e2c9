import Tensors

/// How a checkpoint's tensor is seen as out × in, so that groups always run along the inputs.
public struct WeightView: Sendable, Hashable {
  /// The tensor's own shape in the checkpoint.
  public let sourceShape: Shape
  /// The layout of the tensor's axes.
  public let layout: Layout

  /// The layouts that checkpoints use.
  public enum Layout: String, Sendable, Hashable, CaseIterable {
    /// out × in (× everything else, flattened): PyTorch's linear and convolution layers.
    case outputsFirst = "outputs_first"
    /// (everything else ×) in × out: Keras kernels, GPT-2's Conv1D, kh × kw × in × out kernels.
    case outputsLast = "outputs_last"
    /// in × out (× more outputs): the queries, keys and values of Keras's attention layers,
    /// in × heads × width of a head.
    case inputsFirst = "inputs_first"
  }

  public init(sourceShape: Shape, layout: Layout) {
    precondition(sourceShape.rank >= 2, "a weight has at least two axes")
    self.sourceShape = sourceShape
    self.layout = layout
  }

  /// A plain out × in matrix.
  public init(rows: Int, columns: Int) {
    self.init(sourceShape: [rows, columns], layout: .outputsFirst)
  }

  /// Output channels.
  public var rows: Int {
    switch layout {
    case .outputsFirst: sourceShape.dimensions[0]
    case .outputsLast: sourceShape.dimensions[sourceShape.rank - 1]
    case .inputsFirst: sourceShape.rowElementCount
    }
  }

  /// Input channels: the product of all other axes.
  public var columns: Int {
    switch layout {
    case .outputsFirst: sourceShape.rowElementCount
    case .outputsLast: sourceShape.dimensions.dropLast().reduce(1, *)
    case .inputsFirst: sourceShape.dimensions[0]
    }
  }
}
