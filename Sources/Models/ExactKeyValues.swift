import Architectures
import Weights

/// Another provider's weights with keys and values kept as they are: what the rounding of a cache
/// is measured against.
struct ExactKeyValues: WeightProvider {
  private let base: any WeightProvider

  init(_ base: any WeightProvider) { self.base = base }

  var description: ModelDescription { base.description }
  var arithmetic: ProductArithmetic { base.arithmetic }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight { try base.weight(linear) }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
