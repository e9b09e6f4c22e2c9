import Architectures
import Weights

/// Another provider's weights, the inputs of all its blocks' linear layers rounded, or its keys and
/// values: what an evaluation tries on any model.
///
/// The head and its transform are left alone, as they are by recipes.
public struct RoundedInputs: WeightProvider {
  public let base: any WeightProvider
  /// In place of what the weights say; nil leaves that.
  public let activations: ActivationScheme?
  public let keyValueScheme: KeyValueScheme?
  public let keyValueScales: KeyValueScales?
  private let layers: Set<String>

  /// - Parameter keyValue: in place of what the model says; nil leaves that.
  /// - Throws: `WeightsError` for schemes that are not whole.
  public init(
    _ base: any WeightProvider, activations: ActivationScheme?, keyValue: KeyValueScheme?
  ) throws {
    try activations?.validate()
    try keyValue?.validate()
    self.base = base
    self.activations = activations
    keyValueScheme = keyValue ?? base.keyValueScheme
    keyValueScales = keyValue == nil ? base.keyValueScales : nil
    layers = Set(base.description.blocks.flatMap(\.linears).map(\.weight))
  }

  public var description: ModelDescription { base.description }
  public var arithmetic: ProductArithmetic { base.arithmetic }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    var weight = try base.weight(linear)
    guard let activations, layers.contains(linear.weight) else { return weight }
    weight.site = Site(transforms: weight.site?.transforms ?? [], activations: activations)
    return weight
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
