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
  /// Of integers, planes, table formats (where those store all scales together, nothing changes), and
  /// of ggml's blocks, whose f16 numbers are fitted and whose sub-blocks keep their shares of them.
  ///
  /// - Parameter target: what the base ⊙ mask should stand for, out × in.
  /// - Throws: `QuantizationError`.
  public static func refit(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: Matrix<Double>,
    pool: WorkerPool = .serial
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: Report) {
    let normalized = try NormalizedGram(
      gram, weight: weight, target: target, operation: "a refit of scales")
    let before = try WeightedError.of(
      WeightedError.subtract(weight.decodedBase(), from: target), gram: gram, pool: pool)
    return refit(weight, target: target, gram: normalized, before: before, pool: pool)
  }

  /// The scales of one plane after the other, twice: no step makes a row worse.
  static func refit(
    _ base: PlaneBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>, pool: WorkerPool
  ) -> (base: PlaneBase, outcome: RefitProblem.Outcome) {
    var result = base
    var total = RefitProblem.Outcome()
    let planes = base.scheme.planes
    for plane in (0..<2).flatMap({ _ in 0..<planes }) {
      var decoded = Base.planes(result).decoded()
      if let mask { decoded = mask.applied(to: decoded) }
      let outcome = RefitProblem(
        base: result, plane: plane, mask: mask, target: target, gram: gram, decoded: decoded
      ).solve(pool: pool)
      var scales = result.scales.floats()
      for (index, scale) in outcome.scales.enumerated() { scales[index * planes + plane] = scale }
      result = result.with(scales: scales)
      total.scales = scales
      total.change += outcome.change
      total.rowsImproved = max(total.rowsImproved, outcome.rowsImproved)
    }
    return (result, total)
  }

  /// As above, the error before being known and everything checked.
  static func refit(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: NormalizedGram, before: Double,
    pool: WorkerPool
  ) -> (weight: CompressedWeight, report: Report) {
    var report = Report(before: before, after: before, rowsImproved: 0)
    guard gram.mean > 0, weight.rows > 0 else { return (weight, report) }
    var result = weight
    let outcome: RefitProblem.Outcome
    switch weight.base {
    case .integer(var base):
      outcome = RefitProblem(
        base: base, mask: weight.mask, target: target, gram: gram.values,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      base.scales = base.grid.tensor(ofScales: outcome.scales, shape: base.scales.shape)
      result.base = .integer(base)
    case .table(let base):
      guard let rounding = base.scaleRounding else { return (weight, report) }
      outcome = RefitProblem(
        base: base, rounding: rounding, mask: weight.mask, target: target, gram: gram.values,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      result.base = .table(base.with(scales: outcome.scales))
    case .planes(let base):
      let (planes, found) = refit(
        base, mask: weight.mask, target: target, gram: gram.values, pool: pool)
      outcome = found
      result.base = .planes(planes)
    case .blocks(let base):
      outcome = RefitProblem(
        base: base, mask: weight.mask, target: target, gram: gram.values,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      result.base = .blocks(base.with(multipliers: outcome.scales))
    default: return (weight, report)
    }
    report.after = max(0, before + outcome.change * gram.mean)
    report.rowsImproved = outcome.rowsImproved
    return (result, report)
  }
}
