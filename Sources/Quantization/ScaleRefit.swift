import LinearAlgebra
import Tensors
import Weights

/// The scales that minimise the weighted error of given codes.
///
/// With v_g = (codes − zero) of group g and 0 elsewhere, a row is Σ s_g·v_g: its error under H is
/// quadratic in the scales, with A_gh = v_g·H·v_hᵀ and b_g = v_g·H·(w − ŵ)ᵀ for a change of the
/// scales. Zero points stay.
public enum ScaleRefit {
  /// What a refit did.
  public struct Report: Sendable, Hashable {
    /// tr(D·H·Dᵀ) with the scales as they were.
    public var before: Double
    /// tr(D·H·Dᵀ) with the scales as they are; at most `before`.
    public var after: Double
    /// Rows whose scales changed.
    public var rowsImproved: Int
  }

  /// The weight with its scales fitted again.
  ///
  /// (1) Codes and zero points are untouched; (2) scales are stored ones, positive and finite, and
  /// a row keeps its old ones where rounding them would cost more than fitting gains: no row ends
  /// worse; (3) the same bits with any number of workers.
  ///
  /// - Parameter target: what the base ⊙ mask should stand for, out × in.
  /// - Throws: `QuantizationError`.
  public static func refit(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: Matrix<Double>,
    pool: WorkerPool = .serial
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: Report) {
    let before = try WeightedError.of(
      WeightedError.subtract(weight.decodedBase(), from: target), gram: gram, pool: pool)
    return try refit(weight, target: target, gram: gram, before: before, pool: pool)
  }

  /// As above, the error before being known.
  static func refit(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: Matrix<Double>, before: Double,
    pool: WorkerPool
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: Report) {
    guard case .integer(let base) = weight.base else {
      throw .notQuantized(operation: "a refit of scales")
    }
    guard gram.rows == base.columns, gram.columns == base.columns, target.rows == base.rows,
      target.columns == base.columns
    else {
      throw .statisticsMismatch(
        rows: target.rows, columns: target.columns, gram: [gram.rows, gram.columns])
    }
    if let index = Finiteness.firstNonFinite(gram.values) {
      throw .statisticsNotFinite(row: index / gram.columns, column: index % gram.columns)
    }
    let mean = (0..<gram.rows).reduce(0.0) { $0 + gram[$1, $1] / Double(gram.rows) }
    var report = Report(before: before, after: before, rowsImproved: 0)
    guard mean > 0, mean.isFinite, base.rows > 0 else { return (weight, report) }
    let normalized = Matrix<Float>(
      rows: gram.rows, columns: gram.columns, values: gram.values.map { Float($0 / mean) })
    let problem = RefitProblem(
      base: base, mask: weight.mask, target: target, gram: normalized,
      decoded: weight.decodedBase())
    let outcome = problem.solve(pool: pool)
    var fitted = base
    fitted.scales = base.grid.tensor(ofScales: outcome.scales, shape: base.scales.shape)
    report.after = max(0, before + outcome.change * mean)
    report.rowsImproved = outcome.rowsImproved
    var result = weight
    result.base = .integer(fitted)
    return (result, report)
  }
}
