import LinearAlgebra
import Tensors
import Weights

/// Inputs rounded one after the other, each one's loss made good by those to come.
///
/// Frantar and others 2022, arXiv 2210.17323. With H the inputs' Gram matrix and UᵀU = (H + λI)⁻¹, U upper: after input j is rounded,
/// w ← w − (w_j − q_j)/U_jj · U_j. Rows are independent of each other, so they are shared out in
/// tiles; within a tile the updates of far inputs wait for a block's end and become one product.
public enum GPTQ {
  /// A weight with what its base holds now on an integer grid, its error least where inputs are
  /// loud.
  ///
  /// (1) With a diagonal Gram matrix the codes are those of round-to-nearest; (2) scaling the Gram
  /// matrix changes nothing; (3) `block` changes nothing but the rounding of sums; (4) grids are
  /// fitted at their group's start, on the updated weights or on those as they were, whichever
  /// loses less (static ones before the sweep), by the scheme's clip search; (5) masked entries stay zero and their loss is made good as well;
  /// (6) the same bits with any number of workers; (7) the result is finite.
  ///
  /// - Parameters:
  ///   - gram: Σ xᵀx, in × in, both halves.
  ///   - rows: the rows behind it; fewer than inputs give a warning.
  /// - Throws: `QuantizationError`.
  public static func quantize(
    _ weight: CompressedWeight, gram: Matrix<Double>, rows: Int? = nil, scheme: IntegerScheme,
    options: GPTQOptions = GPTQOptions(), pool: WorkerPool = .serial
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: GPTQReport) {
    try options.check()
    guard weight.base != nil else { throw .weights(.baseMissing(operation: "quantize")) }
    let options = options.settled(
      bits: scheme.bits, rows: rows, inputs: weight.columns, isMasked: weight.mask != nil)
    if case .group(let size) = scheme.granularity, weight.columns % size != 0 {
      throw .weights(.groupDoesNotDivide(group: size, columns: weight.columns))
    }
    let given = SweepTarget(weight, pool: pool)
    do { try given.checkFinite() } catch { throw .weights(error) }
    let gramMatrix = try PreparedGram(gram, rows: weight.rows, columns: weight.columns)
    var report = GPTQReport()
    report.warnings = gramMatrix.warnings(rows: rows)
    var result = weight
    guard gramMatrix.isInformed, weight.rows > 0 else {
      report.isUninformed = true
      report.warnings.append(
        "the statistics are all zero: the weight is rounded to the nearest, without calibration")
      do {
        result = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
      } catch { throw .weights(error) }
      return (result, report)
    }
    report.deadColumns = gramMatrix.dead
    // Columns of dead inputs multiply zeros: they must not widen a grid.
    let target = given.cleared(gramMatrix.dead)
    let weak = try WeakColumns(
      weight, target: target, diagonal: gramMatrix.diagonal, scheme: scheme, options: options,
      pool: pool)
    var best = try start(
      weight, target, gramMatrix, scheme, options, weak, pool, report: report)
    guard options.rounding == .learned else { return (best.weight, best.report) }
    if let other = options.withLessDamping(rows: rows, inputs: weight.columns) {
      let second = try start(
        weight, target, gramMatrix, scheme, other, weak, pool, report: report)
      if second.report.weightedError < best.report.weightedError { best = second }
    }
    result = learn(
      best.weight, best.target.matrix, NormalizedGram(gramMatrix.matrix, mean: gramMatrix.mean),
      options, pool, &best.report)
    return (result, best.report)
  }

  /// A weight after its sweep and its refit.
  private struct Start {
    var weight: CompressedWeight
    /// What the base stands for.
    var target: SweepTarget
    var report: GPTQReport
  }

  private static func start(
    _ weight: CompressedWeight, _ target: SweepTarget, _ gram: PreparedGram,
    _ scheme: IntegerScheme, _ options: GPTQOptions, _ weak: WeakColumns, _ pool: WorkerPool,
    report: GPTQReport
  ) throws(QuantizationError) -> Start {
    var start = Start(weight: weight, target: target, report: report)
    let outcome =
      options.usesSingle
      ? try sweep(
        target, gram, weight.mask, scheme, options, weak, pool, in: Float.self, &start.report)
      : try sweep(
        target, gram, weight.mask, scheme, options, weak, pool, in: Double.self, &start.report)
    start.weight.base = .integer(outcome.base)
    if let free = outcome.free {
      let settled = try weak.settled(free, target: target.matrix)
      start.weight.outliers = settled.outliers
      start.target = SweepTarget(settled.target)
      start.report.weakColumns = weak.numbers
    }
    guard options.refit else { return start }
    if let refit = outcome.refit {
      start.weight = take(refit, start.weight, gram.mean, &start.report)
    } else {
      let refitted = ScaleRefit.refit(
        start.weight, target: start.target.matrix,
        gram: NormalizedGram(gram.matrix, mean: gram.mean),
        before: start.report.sweepError, pool: pool)
      start.weight = refitted.weight
      start.report.refit = refitted.report
    }
    return start
  }

  /// The weight with the scales that its sweep fitted.
  private static func take(
    _ refit: RefitProblem.Outcome, _ weight: CompressedWeight, _ mean: Double,
    _ report: inout GPTQReport
  ) -> CompressedWeight {
    guard case .integer(var base) = weight.base else { return weight }
    base.scales = base.grid.tensor(ofScales: refit.scales, shape: base.scales.shape)
    report.refit = ScaleRefit.Report(
      before: report.sweepError, after: max(0, report.sweepError + refit.change * mean),
      rowsImproved: refit.rowsImproved)
    var result = weight
    result.base = .integer(base)
    return result
  }

  /// Codes and scales in turn, until a round gains next to nothing.
  private static func learn(
    _ weight: CompressedWeight, _ target: Matrix<Float>, _ gram: NormalizedGram,
    _ options: GPTQOptions, _ pool: WorkerPool, _ report: inout GPTQReport
  ) -> CompressedWeight {
    var result = weight
    for round in 0..<options.rounds {
      // Single codes first: cheap, and most of the way.
      let search = round == 0 ? nil : BeamPlan.Round(number: round, movesGrids: options.refit)
      let descent = CodeDescent.descend(
        result, target: target, gram: gram, search: search, pool: pool)
      result = descent.weight
      report.descents.append(descent.report)
      var after = descent.report.after
      if options.refit {
        let refitted = ScaleRefit.refit(
          result, target: target, gram: gram, before: after, pool: pool)
        result = refitted.weight
        report.refit = refitted.report
        after = refitted.report.after
      }
      if after > 0.999 * descent.report.before { break }
    }
    return result
  }

  /// Factor and sweep in one precision, in memory that the last weight of the same shape has left.
  private static func sweep<S: SweepScalar>(
    _ target: SweepTarget, _ gram: PreparedGram, _ mask: Mask?, _ scheme: IntegerScheme,
    _ options: GPTQOptions, _ weak: WeakColumns, _ pool: WorkerPool, in: S.Type,
    _ report: inout GPTQReport
  ) throws(QuantizationError) -> (
    base: IntegerBase, free: Matrix<Float>?, refit: RefitProblem.Outcome?
  ) {
    var own = report
    defer { report = own }
    return try pool.withPages([target.rows, target.columns, scheme.bits]) {
      (pages: PageCache) throws(QuantizationError) in
      try sweep(
        target, gram, mask, scheme, options, weak, pages, pool, in: S.self, &own)
    }
  }

  private static func sweep<S: SweepScalar>(
    _ target: SweepTarget, _ gram: PreparedGram, _ mask: Mask?, _ scheme: IntegerScheme,
    _ options: GPTQOptions, _ weak: WeakColumns, _ pages: PageCache, _ pool: WorkerPool,
    in: S.Type, _ report: inout GPTQReport
  ) throws(QuantizationError) -> (
    base: IntegerBase, free: Matrix<Float>?, refit: RefitProblem.Outcome?
  ) {
    let order = SweepOrder(
      gram.diagonal, scheme: scheme, order: options.order, free: weak.numbers)
    let factor: SweepFactor<S>
    do {
      (factor, report.attempts) = try gram.factor(
        reversed: order.columns, damping: options.dampingShare, pages: pages, pool: pool)
    } catch { throw .linearAlgebra(error) }
    let dampingUsed = report.attempts.last?.damping ?? options.dampingShare
    report.dampingUsed = dampingUsed
    if report.attempts.count > 1 {
      report.warnings.append(
        "the Gram matrix needed a damping of \(dampingUsed) instead of \(options.dampingShare)"
      )
    }
    let sweep = try Sweep(
      target: target, gridTarget: target.cleared(weak.numbers), mask: mask, scheme: scheme,
      order: order, factor: factor, block: options.block,
      refitDamping: options.refit ? dampingUsed * gram.normalizedMean : nil,
      boundPasses: options.boundPasses(bits: scheme.bits), pages: pages, pool: pool)
    let outcome = try sweep.run(pool: pool)
    report.heldWeights = outcome.held
    guard outcome.loss.isFinite, outcome.squaredError.isFinite else {
      throw .overflow(operation: "GPTQ")
    }
    report.dampedError = outcome.loss * gram.mean
    report.sweepError = max(
      0,
      report.dampedError
        - dampingUsed * gram.normalizedMean * gram.mean * outcome.squaredError)
    return (outcome.base, outcome.free, outcome.refit)
  }
}
