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
  private(set) var rows: Range<Int>
  let stride: Int
  let columns: Int
  /// The weights as they were; of columns that are done, where scales are refitted, (w' − q)·R_jj
  /// instead: the rows of D·R.
  var targets: [S]
  /// What was taken from them: w − q.
  var differences: [S]
  /// Codes by column, not by position; columns × stride.
  private(set) var codes: [UInt8]
  /// groups × stride.
  var scales: [S]
  var zeros: [S]
  /// 1 where an entry counts; empty without a mask.
  var kept: [S]
  /// What the columns that are done have left behind for the running span, columns × stride.
  var sums: [S]
  var span = 0..<0
  /// The updated weights of a group whose grid is fitted.
  var panelValues: [S] = []
  var loss = 0.0
  var squaredError = 0.0

  init(_ sweep: Sweep<S>, rows: Range<Int>) {
    self.sweep = sweep
    self.rows = rows
    columns = sweep.target.columns
    let stride = ColumnRun<S>.stride(rows: rows.count)
    let columns = columns
    self.stride = stride
    let groups = columns / sweep.order.group
    targets = LargePages.zeros(count: columns * stride)
    differences = LargePages.zeros(count: columns * stride)
    codes = LargePages.zeros(count: columns * stride)
    scales = Array(repeating: 1, count: groups * stride)
    zeros = Array(repeating: 0, count: groups * stride)
    sums = Array(
      repeating: 0, count: max(sweep.spans.map(\.range.count).max() ?? 0, sweep.order.free) * stride
    )
    kept = []
    begin(rows)
  }

  /// Takes on other rows, as many.
  func begin(_ rows: Range<Int>) {
    self.rows = rows
    (loss, squaredError) = (0, 0)
    let (stride, columns) = (stride, columns)
    targets.withUnsafeMutableBufferPointer { target in
      sweep.target.values.withUnsafeBufferPointer { source in
        if let to = target.baseAddress, let from = source.baseAddress {
          TileLayout.gathered(
            from, width: columns, rows: rows, stride: stride, order: sweep.columnOrder, into: to)
        }
      }
    }
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
    for span in sweep.spans {
      self.span = span.range
      collect(span.range, from: span.range.upperBound..<columns, adding: false)
      for panel in span.panels {
        collect(panel.range, from: panel.range.upperBound..<span.range.upperBound, adding: true)
        if sweep.fixed == nil { try fitGrids(panel) }
        round(panel, losses: nil)
      }
    }
    let free = settleFree()
    if let bounded = sweep.bounded, let tile = self as? TileSweep<Float> {
      tile.settle(bounded, weights: sweep.original)
    }
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
    span = 0..<count
    collect(span, from: count..<columns, adding: false)
    solve(span, sums)
    var result = [Float](repeating: 0, count: rows.count * count)
    for position in 0..<count {
      let column = sweep.columnOrder[position]
      let grid = Int(sweep.gridIndex[position])
      for row in 0..<rows.count {
        let update = panelValues[position * stride + row]
        squaredError += Double(update) * Double(update)
        codes[column * stride + row] = S.byte(zeros[grid * stride + row])
        // Positions run backwards.
        result[row * count + count - 1 - position] = Float(
          targets[position * stride + row] + update)
      }
    }
    return result
  }

  /// panelValues ← L⁻ᵀ of a panel · its sums.
  func solve(_ panel: Range<Int>, _ from: [S]) {
    let place = (panel.lowerBound - span.lowerBound) * stride
    if let inverse = sweep.inverses[panel.lowerBound], stride > 0 {
      let (count, stride) = (panel.count, stride)
      if panelValues.count != count * stride {
        panelValues = Array(repeating: 0, count: count * stride)
      }
      panelValues.withUnsafeMutableBufferPointer { values in
        from.withUnsafeBufferPointer { from in
          guard let x = values.baseAddress, let b = from.baseAddress else { return }
          BLAS.gemm(
            m: count, n: stride, k: count, alpha: 1, a: inverse.values, lda: count,
            transposeA: true, b: b + place, ldb: stride, transposeB: false, beta: 0, c: x,
            ldc: stride)
        }
      }
      return
    }
    panelValues = Array(from[place..<place + panel.count * stride])
    guard panel.upperBound < columns, stride > 0 else { return }
    let (stride, columns) = (stride, columns)
    panelValues.withUnsafeMutableBufferPointer { values in
      sweep.factor.values.withUnsafeBufferPointer { factor in
        guard let x = values.baseAddress, let l = factor.baseAddress else { return }
        BLAS.trsm(
          m: panel.count, n: stride, alpha: 1, a: l + panel.lowerBound * (columns + 1),
          lda: columns, triangle: .lower, transposeA: true, triangleOnLeft: true, b: x,
          ldb: stride)
      }
    }
  }

  /// sums[range] ← (sums[range] +) L[done, range]ᵀ · differences[done].
  private func collect(_ range: Range<Int>, from done: Range<Int>, adding: Bool) {
    guard !range.isEmpty, stride > 0 else { return }
    let (stride, columns, place) = (stride, columns, (range.lowerBound - span.lowerBound) * stride)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let c = sums.baseAddress else { return }
      guard !done.isEmpty else {
        if !adding { (c + place).update(repeating: 0, count: range.count * stride) }
        return
      }
      differences.withUnsafeBufferPointer { differences in
        sweep.factor.values.withUnsafeBufferPointer { factor in
          guard let d = differences.baseAddress, let l = factor.baseAddress else { return }
          BLAS.gemm(
            m: range.count, n: stride, k: done.count, alpha: 1,
            a: l + done.lowerBound * columns + range.lowerBound, lda: columns, transposeA: true,
            b: d + done.lowerBound * stride, ldb: stride, transposeB: false,
            beta: adding ? 1 : 0, c: c + place, ldc: stride)
        }
      }
    }
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
    let found = targets.withUnsafeMutableBufferPointer { targets in
      differences.withUnsafeMutableBufferPointer { differences in
        codes.withUnsafeMutableBufferPointer { codes in
          scales.withUnsafeBufferPointer { scales in
            zeros.withUnsafeBufferPointer { zeros in
              kept.withUnsafeBufferPointer { kept in
                sums.withUnsafeBufferPointer { sums in
                  sweep.withRun(range) {
                    (factor, codeIndex, gridIndex) -> (loss: Double, squaredError: Double) in
                    guard let t = targets.baseAddress, let d = differences.baseAddress,
                      let c = codes.baseAddress, let s = scales.baseAddress,
                      let z = zeros.baseAddress
                    else { return (0, 0) }
                    return S.sweep(
                      ColumnRun(
                        count: range.count, stride: stride, top: top, targets: t + start,
                        codeIndex: codeIndex, gridIndex: gridIndex, codes: c, scales: s, zeros: z,
                        kept: kept.isEmpty ? nil : kept.baseAddress.map { $0 + start }),
                      factor: factor, sums: sums.baseAddress.map { $0 + place },
                      differences: d + start, residuals: keepsResiduals ? t + start : nil,
                      rowLoss: rowLoss)
                  }
                }
              }
            }
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
    codes.withUnsafeBufferPointer { codes in
      guard let from = codes.baseAddress else { return }
      TileLayout.packed(from, columns: columns, rows: rows.count, stride: stride) { row, line in
        pith_pack_codes(
          line, columns, Int32(bits), packed + (rows.lowerBound + row) * bytes)
      }
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
