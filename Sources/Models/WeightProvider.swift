import Architectures
import Tensors
import Weights

/// Where a model's weights come from: a checkpoint, an artefact, or a method's results in memory.
///
/// Called from several threads at once.
public protocol WeightProvider: Sendable {
  var description: ModelDescription { get }

  /// How keys and values of older tokens are rounded; nil: not at all.
  var keyValueScheme: KeyValueScheme? { get }

  /// Stored scales that keys and values are rounded under; nil: none.
  var keyValueScales: KeyValueScales? { get }

  /// What products with weights of integer codes are summed in.
  var arithmetic: ProductArithmetic { get }

  /// The weight of a linear layer, out × in whatever the checkpoint's layout.
  func weight(_ linear: LinearDescription) throws -> CompressedWeight

  /// A norm's weight or a bias.
  func vector(_ name: String, count: Int) throws -> [Float]

  /// A table of rows: token embeddings, positions, an untied head.
  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable
}

extension WeightProvider {
  public var keyValueScheme: KeyValueScheme? { nil }
  public var keyValueScales: KeyValueScales? { nil }
  public var arithmetic: ProductArithmetic { .f32 }
}
