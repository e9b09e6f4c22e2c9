import LinearAlgebra
import Tensors
import Weights

/// Entries dropped one input after the other, each one's loss made good by the inputs to come.
///
/// Frantar and Alistarh 2023, arXiv 2301.00774. With H the inputs' Gram matrix and
/// UᵀU = (H + λI)⁻¹, U upper: an entry's score is (w_j/U_jj)² with w as updated so far, and what is
/// dropped is taken off the rest of its row, w ← w − (w_j − q_j)/U_jj · U_j. The sweep alone lets
/// only later inputs make good what earlier ones lost; steps of conjugate gradients on all
/// survivors follow. Given a scheme, survivors that have settled are rounded by a second sweep.
public enum SparseGPT {
  /// A weight with part of its base dropped and the rest updated, its error least where inputs are
  /// loud.
  ///
  /// (1) Exactly floor(rows · columns · fraction + ½) entries of the matrix go, the same share of
  /// every `block` of inputs to within one entry; of a pattern all but `keep` of every `of`;
  /// (2) scaling the Gram matrix changes nothing; (3) with a diagonal one survivors keep their
  /// values; (4) dropped entries are exactly 0, rounded ones too; (5) what was masked before stays
  /// so and its loss is made good as well; (6) inputs that were never active go first; (7) the same
  /// bits with any number of workers; (8) the result is finite.
  ///
  /// - Parameters:
  ///   - gram: Σ xᵀx, in × in, both halves.
  ///   - rows: the rows behind it; fewer than inputs give a warning.
  ///   - amount: a fraction is always one of the matrix.
  ///   - scheme: a grid for what survives. Groups of up to 256 inputs are fitted on updated
  ///     survivors, longer ones on survivors that have settled.
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
    let factor = try PruneFactor(inputs, damping: options.damping, pool: pool)
    (report.attempts, report.dampingUsed) = (factor.attempts, factor.dampingUsed)
    if report.attempts.count > 1 {
      report.warnings.append(
        "the Gram matrix needed a damping of \(report.dampingUsed) instead of \(options.damping)")
    }
    let outcome = try SparseSweep(
      target: target, mask: weight.mask, factor: factor, amount: amount, scheme: scheme,
      options: options
    ).run(pool: pool)
    guard outcome.loss.isFinite, outcome.squaredError.isFinite else {
      throw .overflow(operation: "SparseGPT")
    }
    report.dampedError = outcome.loss * inputs.mean
    report.weightedError = max(
      0,
      report.dampedError - report.dampingUsed * inputs.normalizedMean * inputs.mean
        * outcome.squaredError)
    weight.base = outcome.base
    return (weight.masked(by: outcome.bits, amount: amount), report)
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
}
