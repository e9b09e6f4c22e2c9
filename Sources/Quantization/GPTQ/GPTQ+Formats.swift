import LinearAlgebra
import Tensors
import Weights

extension GPTQ {
  /// A number format other than integers, as GPTQ's grid.
  public enum Format: Sendable, Hashable {
    case table(TableScheme)
    case blocks(BlockFormat)
    /// Bits by the salience of groups (SliM-LLM).
    case mixed(MixedScheme)
    /// Binary-coded weights.
    case planes(PlaneScheme)
  }

  /// A weight with what its base holds now in a table format or in ggml's blocks, its error least
  /// where inputs are loud.
  ///
  /// As with integers, but the grids are always those of round-to-nearest, fitted before the sweep.
  /// (1) With a diagonal Gram matrix the codes are those of round-to-nearest on these grids;
  /// (2) masked entries stay zero; (3) the same bits with any number of workers. The refit is for
  /// table formats whose scales are stored one by one, and for the f16 numbers of blocks.
  ///
  /// - Throws: `QuantizationError`.
  public static func quantize(
    _ weight: CompressedWeight, gram: Matrix<Double>, rows: Int? = nil, format: Format,
    options: GPTQOptions = GPTQOptions(), pool: WorkerPool = .serial
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: GPTQReport) {
    try options.check()
    guard weight.base != nil else { throw .weights(.baseMissing(operation: "quantize")) }
    var target = weight.decodedBase()
    do { try target.checkFinite() } catch { throw .weights(error) }
    let prepared = try PreparedGram(gram, rows: target.rows, columns: target.columns)
    var report = GPTQReport()
    report.warnings = prepared.warnings(rows: rows)
    report.deadColumns = prepared.dead
    if prepared.isInformed { prepared.clearDead(&target) }
    var result = weight
    var salience: [Double] = []
    if case .mixed(let scheme) = format {
      salience = try GroupSalience.of(
        target, gram: prepared, damping: options.dampingShare, group: scheme.group)
    }
    let grids: ColumnGrids
    do {
      switch format {
      case .table(let scheme):
        let base = try TableBase.roundToNearest(
          target, scheme: scheme, mask: weight.mask, pool: pool)
        result.base = .table(base)
        grids = ColumnGrids(base)
      case .blocks(let blocks):
        let base = try BlockBase.roundToNearest(
          target, format: blocks, mask: weight.mask, pool: pool)
        result.base = .blocks(base)
        grids = ColumnGrids(base)
      case .mixed(let scheme):
        let base = try MixedBase.roundToNearest(
          target, scheme: scheme,
          salience: salience, mask: weight.mask, pool: pool)
        result.base = .mixed(base)
        grids = ColumnGrids(base)
      case .planes(let scheme):
        let base = try PlaneBase.fitted(target, scheme: scheme, mask: weight.mask, pool: pool)
        result.base = .planes(base)
        grids = ColumnGrids(base)
      }
    } catch { throw .weights(error) }
    guard prepared.isInformed, weight.rows > 0 else {
      report.isUninformed = true
      report.warnings.append(
        "the statistics are all zero: the weight is rounded to the nearest, without calibration")
      return (result, report)
    }
    let sweep = try FormatSweep(
      target: target, mask: weight.mask, grids: grids, gram: prepared, options: options, &report)
    result.base = grids.base(codes: sweep.codes(pool: pool))
    report.sweepError = try WeightedError.of(
      WeightedError.subtract(result.decodedBase(), from: target), gram: prepared.matrix, pool: pool
    )
    if options.refit { refit(&result, target: target, gram: prepared, &report, pool: pool) }
    if options.rounding == .learned {
      let normalized = NormalizedGram(prepared.matrix, mean: prepared.mean)
      learn(&result, target: target, gram: normalized, options, &report, pool: pool)
    }
    return (result, report)
  }

  /// Codes and scales in turn, until a round gains next to nothing.
  private static func learn(
    _ weight: inout CompressedWeight, target: Matrix<Float>, gram: NormalizedGram,
    _ options: GPTQOptions, _ report: inout GPTQReport, pool: WorkerPool
  ) {
    var before = report.refit?.after ?? report.sweepError
    for _ in 0..<options.rounds {
      let grids: ColumnGrids
      switch weight.base {
      case .table(let base): grids = ColumnGrids(base)
      case .blocks(let base): grids = ColumnGrids(base)
      case .planes(let base): grids = ColumnGrids(base)
      default: return
      }
      let old = grids.codes()
      let codes = FormatDescent(
        grids: grids, target: target, mask: weight.mask, gram: gram, passes: 4
      ).codes(from: old, pool: pool)
      var next = weight
      next.base = grids.base(codes: codes)
      let after = error(next, target, gram, pool)
      guard after < before else { return }
      report.descents.append(
        CodeDescent.Report(
          before: before, after: after,
          codesChanged: zip(old, codes).count(where: { $0 != $1 })))
      weight = next
      var reached = after
      if options.refit {
        let refitted = ScaleRefit.refit(
          weight, target: target, gram: gram, before: after, pool: pool)
        weight = refitted.weight
        report.refit = refitted.report
        reached = refitted.report.after
      }
      if reached > 0.999 * before { return }
      before = reached
    }
  }

  private static func error(
    _ weight: CompressedWeight, _ target: Matrix<Float>, _ gram: NormalizedGram,
    _ pool: WorkerPool
  ) -> Double {
    let matrix = Matrix<Double>(
      rows: gram.values.rows, columns: gram.values.columns,
      values: gram.values.values.map { Double($0) * gram.mean })
    return
      (try? WeightedError.of(
        WeightedError.subtract(weight.decodedBase(), from: target), gram: matrix, pool: pool))
      ?? .infinity
  }

  /// Fits scales that are stored one by one to their codes.
  private static func refit(
    _ weight: inout CompressedWeight, target: Matrix<Float>, gram: PreparedGram,
    _ report: inout GPTQReport, pool: WorkerPool
  ) {
    let normalized = Matrix<Float>(
      rows: gram.matrix.rows, columns: gram.matrix.columns,
      values: gram.matrix.values.map { Float($0 / gram.mean) })
    let outcome: RefitProblem.Outcome
    switch weight.base {
    case .table(let base):
      guard let rounding = base.scaleRounding else { return }
      outcome = RefitProblem(
        base: base, rounding: rounding, mask: weight.mask, target: target, gram: normalized,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      weight.base = .table(base.with(scales: outcome.scales))
    case .mixed(let base):
      outcome = RefitProblem(
        base: base, mask: weight.mask, target: target, gram: normalized,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      weight.base = .mixed(base.with(scales: outcome.scales))
    case .planes(let base):
      let (planes, found) = ScaleRefit.refit(
        base, mask: weight.mask, target: target, gram: normalized, pool: pool)
      outcome = found
      weight.base = .planes(planes)
    case .blocks(let base):
      outcome = RefitProblem(
        base: base, mask: weight.mask, target: target, gram: normalized,
        decoded: weight.decodedBase()
      ).solve(pool: pool)
      weight.base = .blocks(base.with(multipliers: outcome.scales))
    default: return
    }
    report.refit = ScaleRefit.Report(
      before: report.sweepError, after: max(0, report.sweepError + outcome.change * gram.mean),
      rowsImproved: outcome.rowsImproved)
  }
}

/// The column sweep on grids of any format, value by value.
struct FormatSweep: Sendable {
  private let target: Matrix<Float>
  private let mask: Mask?
  private let grids: ColumnGrids
  /// The input at each position of the sweep.
  private let order: [Int]
  /// U in the sweep's order.
  private let factor: Matrix<Float>

  /// Columns whose updates of the rest wait for one product.
  private static let block = 64
  private static let tileRows = 64

  init(
    target: Matrix<Float>, mask: Mask?, grids: ColumnGrids, gram: PreparedGram,
    options: GPTQOptions, _ report: inout GPTQReport
  ) throws(QuantizationError) {
    self.target = target
    self.mask = mask
    self.grids = grids
    let order = Self.order(gram.diagonal, options.order, group: grids.groupLength)
    self.order = order
    let dead = Set(gram.dead)
    var normalized = Matrix<Float>(rows: order.count, columns: order.count, repeating: 0)
    for (row, from) in order.enumerated() {
      for (column, other) in order.enumerated() {
        normalized[row, column] = Float(gram.matrix[from, other] / gram.mean)
      }
      if dead.contains(from) { normalized[row, row] = 1 }
    }
    do {
      let result = try Cholesky.inverseUpperFactor(normalized, damping: options.dampingShare)
      factor = result.factor
      report.attempts = result.attempts
      report.dampingUsed = result.dampingUsed
    } catch { throw .linearAlgebra(error) }
  }

  private static func order(
    _ diagonal: [Double], _ order: GPTQOptions.Order, group: Int
  ) -> [Int] {
    // Sorting is not promised to be stable: equal inputs go by their number.
    func louder(_ left: Int, _ right: Int) -> Bool {
      diagonal[left] == diagonal[right] ? left < right : diagonal[left] > diagonal[right]
    }
    switch order {
    case .none: return Array(diagonal.indices)
    case .activation: return diagonal.indices.sorted(by: louder)
    case .groups:
      return stride(from: 0, to: diagonal.count, by: group).map {
        Array($0..<min($0 + group, diagonal.count)).sorted(by: louder)
      }.sorted { louder($0[0], $1[0]) }.flatMap { $0 }
    }
  }

  /// The codes of all rows, one a byte.
  func codes(pool: WorkerPool) -> [UInt8] {
    let tiles = (target.rows + Self.tileRows - 1) / Self.tileRows
    let parts =
      (try? pool.map(tiles) { (tile: Int) throws -> [UInt8] in
        codes(rows: tile * Self.tileRows..<min((tile + 1) * Self.tileRows, target.rows))
      }) ?? []
    return parts.flatMap { $0 }
  }

  private func codes(rows: Range<Int>) -> [UInt8] {
    let (count, columns) = (rows.count, target.columns)
    var weights = [Float](repeating: 0, count: columns * count)
    for (position, column) in order.enumerated() {
      for (index, row) in rows.enumerated() {
        weights[position * count + index] = target[row, column]
      }
    }
    var errors = [Float](repeating: 0, count: Self.block * count)
    var codes = [UInt8](repeating: 0, count: count * columns)
    for first in stride(from: 0, to: columns, by: Self.block) {
      let end = min(first + Self.block, columns)
      for position in first..<end {
        let column = order[position]
        let pivot = factor[position, position]
        let start = (position - first) * count
        for (index, row) in rows.enumerated() {
          let value = weights[position * count + index]
          let isKept = mask?.isKept(row, column) ?? true
          let code = grids.code(of: isKept ? value : 0, row: row, column: column)
          codes[index * columns + column] = code
          let kept = isKept ? grids.value(of: code, row: row, column: column) : 0
          errors[start + index] = (value - kept) / pivot
        }
        weights.withUnsafeMutableBufferPointer { weights in
          errors.withUnsafeBufferPointer { errors in
            for next in position + 1..<max(end, position + 1) {
              let share = factor[position, next]
              for index in 0..<count {
                weights[next * count + index] -= share * errors[start + index]
              }
            }
          }
        }
      }
      update(&weights, errors, from: first..<end, count: count)
    }
    return codes
  }

  /// weights[behind] −= U[source, behind]ᵀ · errors.
  private func update(
    _ weights: inout [Float], _ errors: [Float], from source: Range<Int>, count: Int
  ) {
    let columns = target.columns
    let behind = source.upperBound..<columns
    guard !behind.isEmpty, count > 0 else { return }
    weights.withUnsafeMutableBufferPointer { weights in
      errors.withUnsafeBufferPointer { errors in
        factor.values.withUnsafeBufferPointer { factor in
          guard let w = weights.baseAddress, let e = errors.baseAddress,
            let u = factor.baseAddress
          else { return }
          BLAS.gemm(
            m: behind.count, n: count, k: source.count, alpha: -1,
            a: u + source.lowerBound * columns + behind.lowerBound, lda: columns,
            transposeA: true, b: e, ldb: count, transposeB: false, beta: 1,
            c: w + behind.lowerBound * count, ldc: count)
        }
      }
    }
  }
}
