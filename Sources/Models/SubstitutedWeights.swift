import Architectures
import Tensors
import Weights

/// Another provider's weights with some linear layers in place of its own: what a method made of
/// them, before it is written anywhere.
public struct SubstitutedWeights: WeightProvider {
  public let base: any WeightProvider
  /// By the tensor's name.
  public var weights: [String: CompressedWeight]

  public init(_ base: any WeightProvider, weights: [String: CompressedWeight]) {
    self.base = base
    self.weights = weights
  }

  public var description: ModelDescription { base.description }
  public var keyValueScheme: KeyValueScheme? { base.keyValueScheme }
  public var keyValueScales: KeyValueScales? { base.keyValueScales }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    try weights[linear.weight] ?? base.weight(linear)
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    guard let weight = weights[name] else {
      return try base.table(name, rows: rows, columns: columns)
    }
    let values = weight.decoded()
    guard values.rows == rows, values.columns == columns else {
      throw ModelError.wrongWeightShape(
        name: name, found: [values.rows, values.columns], expected: [rows, columns])
    }
    return FloatTable(Tensor(dtype: .f32, shape: [rows, columns], array: values.values))
  }
}
