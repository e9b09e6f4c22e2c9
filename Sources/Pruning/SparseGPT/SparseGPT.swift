import LinearAlgebra
import Tensors
import Weights

/// Entries dropped one input after the other, each one's loss made good by the inputs to come.
///
/// Frantar and Alistarh 2023, arXiv 2301.00774. With H the inputs' Gram matrix and
/// UᵀU = (H + λI)⁻¹, U upper: an entry's score is (w_j/U_jj)² with w as updated so far, and what is
/// dropped or rounded is taken off the rest of its row, w ← w − (w_j − q_j)/U_jj · U_j. Given a
/// scheme, survivors are rounded in the same sweep.
public enum SparseGPT {
  /// A weight with part of its base dropped and the rest updated, its error least where inputs are
  /// loud.
  ///
  /// (1) Exactly floor(rows · columns · fraction + ½) entries of the matrix go, the same share of
  /// every block of columns to within one entry; of a pattern all but `keep` of every `of`;
  /// (2) scaling the Gram matrix changes nothing; (3) with a diagonal one survivors keep their
  /// values; (4) dropped entries are exactly 0, rounded ones too; (5) what was masked before stays
  /// so and its loss is made good as well; (6) inputs that were never active go first; (7) the same
  /// bits with any number of workers; (8) the result is finite.
  ///
  /// - Parameters:
  ///   - gram: Σ xᵀx, in × in, both halves.
  ///   - rows: the rows behind it; fewer than inputs give a warning.
  ///   - amount: a fraction is always one of the matrix.
  ///   - scheme: a grid for what survives. Groups of at most a block's length are fitted on updated
  ///     survivors, longer ones before the sweep.
  /// - Throws: `PruningError`.
  public static func prune(
    _ weight: CompressedWeight, gram: Matrix<Double>, rows: Int? = nil, amount: PruneAmount,
    rounding scheme: IntegerScheme? = nil, options: SparseGPTOptions = SparseGPTOptions(),
    pool: WorkerPool = .serial
  ) throws(PruningError) -> (weight: CompressedWeight, report: SparseGPTReport) {
    try options.check()
    var weight = weight.unpacked()
    guard weight.base != nil else { throw .weights(.baseMissing(operation: "prune")) }
    var amount = amount
    if case .fraction(let fraction, _) = amount { amount = .fraction(fraction, of: .matrix) }
    var target = weight.decodedBase()
    do throws(WeightsError) {
      try amount.check(columns: weight.columns)
      if case .group(let size)? = scheme?.granularity, weight.columns % size != 0 {
        throw WeightsError.groupDoesNotDivide(group: size, columns: weight.columns)
      }
      try target.checkFinite()
    } catch { throw .weights(error) }
    let inputs = try InputGram(gram, rows: weight.rows, columns: weight.columns)
    var report = SparseGPTReport()
    report.warnings = inputs.warnings(rows: rows)
    guard inputs.isInformed, weight.rows > 0 else {
      report.isUninformed = true
      report.warnings.append(
        "the statistics are all zero: entries are dropped by magnitude, without calibration")
      return (try uninformed(weight, amount, scheme, pool), report)
    }
    report.deadColumns = inputs.dead
    for column in inputs.dead { for row in 0..<target.rows { target[row, column] = 0 } }
    let factor = try factor(inputs, options, &report)
    let sweep = SparseSweep(
      target: target, mask: weight.mask, factor: factor, amount: amount, scheme: scheme,
      block: options.block)
    let outcome = try sweep.run(pool: pool)
    guard outcome.loss.isFinite, outcome.squaredError.isFinite else {
      throw .overflow(operation: "SparseGPT")
    }
    report.dampedError = outcome.loss * inputs.mean
    report.weightedError = max(
      0, report.dampedError - report.dampingUsed * inputs.mean * outcome.squaredError)
    weight.base = outcome.base
    return (weight.dropping(outcome.dropped, amount: amount), report)
  }

  /// By magnitude, and to the nearest.
  private static func uninformed(
    _ weight: CompressedWeight, _ amount: PruneAmount, _ scheme: IntegerScheme?, _ pool: WorkerPool
  ) throws(PruningError) -> CompressedWeight {
    do {
      var result = try MagnitudePruning.prune(weight, amount: amount)
      if let scheme, let base = result.base {
        result.base = .integer(
          try IntegerBase.roundToNearest(
            base.decoded(), scheme: scheme, mask: result.mask, pool: pool))
      }
      return result
    } catch { throw .weights(error) }
  }

  /// U in f32, from a factorization in f64 where the damping leaves it badly conditioned.
  private static func factor(
    _ inputs: InputGram, _ options: SparseGPTOptions, _ report: inout SparseGPTReport
  ) throws(PruningError) -> Matrix<Float> {
    let factor: Matrix<Float>
    do {
      if options.damping >= 1e-3 {
        let found = try Cholesky.inverseUpperFactor(
          inputs.normalized(as: Float.self), damping: options.damping)
        (report.attempts, report.dampingUsed) = (found.attempts, found.dampingUsed)
        factor = found.factor
      } else {
        let found = try Cholesky.inverseUpperFactor(
          inputs.normalized(as: Double.self), damping: options.damping)
        (report.attempts, report.dampingUsed) = (found.attempts, found.dampingUsed)
        factor = found.factor.converted(to: Float.self)
      }
    } catch { throw .linearAlgebra(error) }
    if report.attempts.count > 1 {
      report.warnings.append(
        "the Gram matrix needed a damping of \(report.dampingUsed) instead of \(options.damping)")
    }
    return factor
  }
}
