import Kernels
import LinearAlgebra
import Tensors
import Weights

/// The sweep over one tile of rows.
///
/// Everything lies by columns (inputs × rows), the inputs in the factor's order, which is the
/// sweep's backwards. One after the other goes through the same memory: a fresh page costs a fault.
/// Sendable because it is handed on between tiles, and never used by two at once.
final class TileSweep<S: SweepScalar>: @unchecked Sendable {
  let sweep: Sweep<S>
  private(set) var rows = 0..<0
  let stride: Int
  let columns: Int
  /// The weights as they were; of columns that are done, where scales are refitted, (w' − q)·R_jj
  /// instead: the rows of D·R.
  ///
  /// In the batch's memory.
  private(set) var targets: UnsafeMutablePointer<S>
  /// What holds weights on their grids' ends, of the whole batch, and this tile's first row in it.
  private(set) var held: HeldWeights?
  private(set) var firstHeld = 0
  /// What was taken from them: w − q.
  let differences: AlignedNumbers<S>
  /// Codes by column, not by position; columns × stride.
  let codes: AlignedNumbers<UInt8>
  /// groups × stride.
  var scales: [S]
  var zeros: [S]
  /// 1 where an entry counts; empty without a mask.
  var kept: [S]
  /// What the columns that are done have left behind for the running span, columns × stride.
  let sums: AlignedNumbers<S>
  /// What the spans that are done leave to others, where it goes through fixed point.
  private let left: FarFeedback.Differences?
  var span = 0..<0
  /// The updated weights of a group whose grid is fitted.
  var panelValues: [S] = []
  var loss = 0.0
  var squaredError = 0.0

  /// For tiles that lie in a batch's memory.
  init(_ sweep: Sweep<S>, batch: SweepRows<S>) {
    self.sweep = sweep
    columns = batch.width
    stride = batch.stride
    targets = batch.numbers.base
    let (columns, stride, pages) = (columns, stride, sweep.pages)
    let groups = columns / sweep.order.group
    differences = AlignedNumbers(count: columns * stride, pages: pages)
    codes = AlignedNumbers(count: columns * stride, pages: pages)
    scales = Array(repeating: 1, count: groups * stride)
    zeros = Array(repeating: 0, count: groups * stride)
    sums = AlignedNumbers(
      count: max(sweep.spans.map(\.range.count).max() ?? 0, sweep.order.free) * stride,
      pages: pages)
    kept = []
    left = sweep.far.map { FarFeedback.Differences($0, stride: stride, pages: pages) }
  }

  /// Takes on a tile of rows, what lies in their lanes, and what holds them.
  func begin(
    _ rows: Range<Int>, targets: UnsafeMutablePointer<S>, held: HeldWeights?, firstHeld: Int
  ) {
    self.rows = rows
    self.targets = targets
    (self.held, self.firstHeld) = (held, firstHeld)
    (loss, squaredError) = (0, 0)
    let (stride, columns) = (stride, columns)
    if let mask = sweep.mask {
      kept = Array(repeating: 0, count: columns * stride)
      for (position, column) in sweep.columnOrder.enumerated() {
        for (index, row) in rows.enumerated() where mask.isKept(row, column) {
          kept[position * stride + index] = 1
        }
      }
    }
    if let fixed = sweep.fixed {
      for group in 0..<columns / sweep.order.group {
        for (index, row) in rows.enumerated() {
          let from = fixed.isPerTensor ? 0 : row * fixed.groups + group
          scales[group * stride + index] = S(fixed.scales[from])
          zeros[group * stride + index] = S(fixed.zeros[from])
        }
      }
    }
  }

  /// Runs the sweep; packed codes go to `packed`, where the weight's first row begins.
  func run(packed: UnsafeMutablePointer<UInt8>) throws(QuantizationError) -> TileOutcome {
    for (number, span) in sweep.spans.enumerated() {
      begin(span.range, number: number)
      for panel in span.panels {
        collect(panel.range, from: panel.range.upperBound..<span.range.upperBound, adding: true)
        if sweep.fixed == nil { try fitGrids(panel) }
        round(panel, losses: nil)
      }
      note(number)
    }
    let free = settleFree()
    if let held, let tile = self as? TileSweep<Float> { tile.settle(held) }
    var outcome = assembled(packed)
    outcome.free = free
    if let refit = sweep.refit, let tile = self as? TileSweep<Float> {
      outcome.refit = tile.refitted(refit)
    }
    return outcome
  }

  /// The columns that are not rounded, as all others have updated them; rows × columns.
  private func settleFree() -> [Float] {
    let count = sweep.order.free
    guard count > 0 else { return [] }
    begin(0..<count, number: sweep.spans.count)
    solve(span)
    var result = [Float](repeating: 0, count: rows.count * count)
    for position in 0..<count {
      let column = sweep.columnOrder[position]
      let grid = Int(sweep.gridIndex[position])
      for row in 0..<rows.count {
        let update = panelValues[position * stride + row]
        squaredError += Double(update) * Double(update)
        codes.base[column * stride + row] = S.byte(zeros[grid * stride + row])
        // Positions run backwards.
        result[row * count + count - 1 - position] = Float(
          targets[position * stride + row] + update)
      }
    }
    return result
  }

  /// panelValues ← L⁻ᵀ of a panel · its sums.
  func solve(_ panel: Range<Int>) {
    let place = (panel.lowerBound - span.lowerBound) * stride
    if let inverse = sweep.inverses[panel.lowerBound], stride > 0 {
      let (count, stride) = (panel.count, stride)
      if panelValues.count != count * stride {
        panelValues = Array(repeating: 0, count: count * stride)
      }
      panelValues.withUnsafeMutableBufferPointer { values in
        guard let x = values.baseAddress else { return }
        BLAS.gemm(
          m: count, n: stride, k: count, alpha: 1, a: inverse.values, lda: count,
          transposeA: true, b: sums.base + place, ldb: stride, transposeB: false, beta: 0, c: x,
          ldc: stride)
      }
      return
    }
    panelValues = Array(
      UnsafeBufferPointer(start: sums.base + place, count: panel.count * stride))
    guard panel.upperBound < columns, stride > 0 else { return }
    let (stride, columns) = (stride, columns)
    panelValues.withUnsafeMutableBufferPointer { values in
      guard let x = values.baseAddress else { return }
      BLAS.trsm(
        m: panel.count, n: stride, alpha: 1,
        a: sweep.factor.base + panel.lowerBound * (columns + 1), lda: columns, triangle: .lower,
        transposeA: true, triangleOnLeft: true, b: x, ldb: stride)
    }
  }

  /// Takes up a span, with what all columns before it have left behind.
  private func begin(_ range: Range<Int>, number: Int) {
    span = range
    guard number > 0, let far = sweep.far, let left else {
      return collect(range, from: range.upperBound..<columns, adding: false)
    }
    // There is such feedback in f32 alone.
    if let sums = sums as? AlignedNumbers<Float> { far.collect(number, left, into: sums.base) }
  }

  /// Leaves a span, all done, to those after it.
  private func note(_ number: Int) {
    guard let far = sweep.far, let values = differences as? AlignedNumbers<Float> else { return }
    left?.note(number, values.base, of: far)
  }

  /// sums[range] ← (sums[range] +) L[done, range]ᵀ · differences[done].
  private func collect(_ range: Range<Int>, from done: Range<Int>, adding: Bool) {
    guard !range.isEmpty, stride > 0 else { return }
    let (stride, columns, place) = (stride, columns, (range.lowerBound - span.lowerBound) * stride)
    let c = sums.base + place
    guard !done.isEmpty else {
      if !adding { c.update(repeating: 0, count: range.count * stride) }
      return
    }
    BLAS.gemm(
      m: range.count, n: stride, k: done.count, alpha: 1,
      a: sweep.factor.base + done.lowerBound * columns + range.lowerBound, lda: columns,
      transposeA: true, b: differences.base + done.lowerBound * stride, ldb: stride,
      transposeB: false, beta: adding ? 1 : 0, c: c, ldc: stride)
  }

  /// Rounds the columns of a panel, run after run.
  func round(_ panel: SweepOrder.Panel, losses: UnsafeMutablePointer<S>?) {
    for run in panel.runs {
      collect(run, from: run.upperBound..<panel.range.upperBound, adding: true)
      guard let losses else {
        round(run, rowLoss: nil)
        continue
      }
      withUnsafeTemporaryAllocation(of: S.self, capacity: max(stride, 1)) { own in
        round(run, rowLoss: own.baseAddress)
        for row in 0..<stride { losses[row] += own[row] }
      }
    }
  }

  /// Rounds the columns of a run.
  private func round(_ range: Range<Int>, rowLoss: UnsafeMutablePointer<S>?) {
    let (start, top) = (range.lowerBound * stride, (1 << sweep.scheme.bits) - 1)
    let stride = stride
    let place = (range.lowerBound - span.lowerBound) * stride
    let keepsResiduals = sweep.refit != nil && rowLoss == nil
    let found = scales.withUnsafeBufferPointer { scales in
      zeros.withUnsafeBufferPointer { zeros in
        kept.withUnsafeBufferPointer { kept in
          sweep.withRun(range) {
            (factor, codeIndex, gridIndex) -> (loss: Double, squaredError: Double) in
            guard let s = scales.baseAddress, let z = zeros.baseAddress else { return (0, 0) }
            let t = targets + start
            return S.sweep(
              ColumnRun(
                count: range.count, stride: stride, top: top, targets: t, codeIndex: codeIndex,
                gridIndex: gridIndex, codes: codes.base, scales: s, zeros: z,
                kept: kept.isEmpty ? nil : kept.baseAddress.map { $0 + start }),
              factor: factor, sums: sums.base + place, differences: differences.base + start,
              residuals: keepsResiduals ? t : nil, rowLoss: rowLoss)
          }
        }
      }
    }
    loss += found.loss
    squaredError += found.squaredError
  }

  private func assembled(_ packed: UnsafeMutablePointer<UInt8>) -> TileOutcome {
    var result = TileOutcome()
    result.loss = loss
    result.squaredError = squaredError
    let bits = sweep.scheme.bits
    let (columns, stride) = (columns, stride)
    let bytes = PackedCodes.bytes(count: columns, bits: bits)
    TileLayout.packed(codes.base, columns: columns, rows: rows.count, stride: stride) { row, line in
      pith_pack_codes(line, columns, Int32(bits), packed + (rows.lowerBound + row) * bytes)
    }
    guard sweep.fixed == nil else { return result }
    let groups = columns / sweep.order.group
    for row in 0..<rows.count {
      result.scales += (0..<groups).map { Float(scales[$0 * stride + row]) }
      if !sweep.scheme.symmetric {
        result.zeros += PackedCodes.pack(
          (0..<groups).map { S.byte(zeros[$0 * stride + row]) }, bits: bits)
      }
    }
    return result
  }
}
