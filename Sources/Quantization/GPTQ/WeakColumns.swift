import LinearAlgebra
import Tensors
import Weights

/// The few inputs whose rounding costs most, kept in f16 (OWQ, arXiv 2306.02272).
///
/// How weak an input is: H_jj·‖ΔW_j‖², ΔW what round-to-nearest loses. The weak ones come last in
/// the sweep and are not rounded: they take in what all others cost.
struct WeakColumns: Sendable {
  /// Ascending.
  let numbers: [Int]

  /// No weak columns.
  init() { numbers = [] }

  /// - Throws: `QuantizationError.optionOutOfRange` where the options or the weight do not allow
  ///   any, `.weights`.
  init(
    _ weight: CompressedWeight, target given: SweepTarget, diagonal: [Double],
    scheme: IntegerScheme,
    options: GPTQOptions, pool: WorkerPool
  ) throws(QuantizationError) {
    let count = options.weakColumns
    guard count > 0 else {
      numbers = []
      return
    }
    func refused(_ allowed: String) -> QuantizationError {
      .optionOutOfRange(name: "weak columns", value: "\(count)", allowed: allowed)
    }
    guard count < weight.columns else { throw refused("below the \(weight.columns) inputs") }
    guard options.order == .activation else { throw refused("0 unless order is activation") }
    guard weight.outliers == nil else { throw refused("0 for a weight with outlier columns") }
    guard weight.mask == nil else { throw refused("0 for a pruned weight") }
    let target = given.matrix
    let rounded: Matrix<Float>
    do {
      rounded = try IntegerBase.roundToNearest(target, scheme: scheme, pool: pool).decoded()
    } catch { throw .weights(error) }
    var cost = [Double](repeating: 0, count: weight.columns)
    for row in 0..<target.rows {
      for (column, index) in target.range(ofRow: row).enumerated() {
        let lost = Double(target.values[index] - rounded.values[index])
        cost[column] += lost * lost
      }
    }
    for column in cost.indices { cost[column] *= diagonal[column] }
    numbers = cost.indices.sorted { (-cost[$0], $0) < (-cost[$1], $1) }.prefix(count).sorted()
  }

  /// The columns beside the base, and what the base still has to stand for.
  ///
  /// - Throws: `QuantizationError.overflow` for values beyond f16.
  func settled(
    _ values: Matrix<Float>, target: Matrix<Float>
  ) throws(QuantizationError) -> (outliers: Outliers, target: Matrix<Float>) {
    let outliers = Outliers(columns: numbers, values: values, as: .f16)
    let stored = outliers.values.floats()
    guard stored.allSatisfy(\.isFinite) else { throw .overflow(operation: "OWQ's columns in f16") }
    var rest = target
    for row in 0..<target.rows {
      for (index, column) in numbers.enumerated() {
        rest[row, column] -= stored[row * numbers.count + index]
      }
    }
    return (outliers, rest)
  }
}
