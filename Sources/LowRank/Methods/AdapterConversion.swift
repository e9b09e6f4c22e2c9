import LinearAlgebra
import Tensors

/// A trained residual adapter as a plain LoRA on the original weight (low-rank.md §2.4).
public enum AdapterConversion {
  /// ΔW = s·(B·A − B₀·A₀) as one pair of rank 2r: A' = [A; A₀], B' = [B, −B₀].
  ///
  /// The scale stays s, so alpha doubles with the rank; under rank-stabilised scaling
  /// (s = alpha/√r) it grows by √2 only. Not valid over a quantized base: Q(W_res) + B·A is not
  /// Q(W) + ΔW. The initial factors must be those that were trained from.
  ///
  /// - Throws: `LowRankError.factorsDisagree`.
  public static func plain<S: BLASScalar>(
    initial: ThinFactors<S>, trained: ThinFactors<S>
  ) throws(LowRankError) -> ThinFactors<S> {
    guard initial.a.rows == trained.a.rows, initial.a.columns == trained.a.columns else {
      throw .factorsDisagree(
        what: "the trained A", expected: [initial.a.rows, initial.a.columns],
        found: [trained.a.rows, trained.a.columns])
    }
    guard initial.b.rows == trained.b.rows, initial.b.columns == trained.b.columns else {
      throw .factorsDisagree(
        what: "the trained B", expected: [initial.b.rows, initial.b.columns],
        found: [trained.b.rows, trained.b.columns])
    }
    let negated = initial.b.scalingColumns(by: [S](repeating: -1, count: initial.b.columns))
    return ThinFactors(
      b: .sideBySide([trained.b, negated]),
      a: Matrix(
        rows: 2 * trained.a.rows, columns: trained.a.columns,
        values: trained.a.values + initial.a.values),
      scale: trained.scale)
  }

  /// The alpha of the converted adapter.
  public static func alpha(_ alpha: Double, rankStabilised: Bool) -> Double {
    rankStabilised ? alpha * 2.0.squareRoot() : 2 * alpha
  }
}
