import Kernels
import LinearAlgebra
import Synchronization
import Tensors
import Weights

/// Some rows of a sweep, rows as lanes: a column is contiguous, `stride` apart from the next, and
/// columns lie in the factor's order, the last input first.
///
/// Whoever holds tiles promises that no two threads work on one.
final class SparseTile: @unchecked Sendable {
  let rows: Range<Int>
  /// Rows with their padding, which holds zeros and is never kept.
  let stride: Int
  let sweep: SparseSweep
  let columns: Int
  /// What the columns stand for.
  var targets: UnsafeMutablePointer<Float>
  /// What `targets` were before survivors settled; nil until then.
  var originals: UnsafeMutablePointer<Float>?
  /// What was taken from the targets.
  let differences: UnsafeMutablePointer<Float>
  /// Lᵀ · differences; nil where nobody goes on from them.
  let errors: UnsafeMutablePointer<Float>?
  /// Σ errors² as the sweep found it, without its rounding.
  private(set) var sweptLoss = 0.0
  /// 1 where an entry counts.
  let kept: UnsafeMutablePointer<UInt8>
  /// What the columns that are done have left behind for the running span.
  private let sums: UnsafeMutablePointer<Float>
  private let sumColumns: Int
  var codes: [UInt8] = []
  /// groups × stride.
  var scales: [Float] = []
  var zeros: [Float] = []
  private var gridIndex: [Int32] = []
  let memory: TileMemory
  private let block: UnsafeMutableRawBufferPointer

  init(_ sweep: SparseSweep, rows: Range<Int>, memory: TileMemory) {
    self.sweep = sweep
    self.rows = rows
    let lanes = Int(PITH_SWEEP_LANES)
    stride = (rows.count + lanes - 1) / lanes * lanes
    columns = sweep.target.columns
    let count = max(columns * stride, 1)
    sumColumns = min(columns, SparseSweep.span + SparseSweep.longestRun)
    let needsErrors = sweep.steps > 0 || sweep.scheme != nil
    let sumCount = max(sumColumns * stride, 1)
    self.memory = memory
    block = memory.take(
      ((needsErrors ? 3 : 2) * count + sumCount) * MemoryLayout<Float>.stride + count)
    guard var place = block.baseAddress else { preconditionFailure("no memory was taken") }
    func floats(_ number: Int) -> UnsafeMutablePointer<Float> {
      defer { place += number * MemoryLayout<Float>.stride }
      return place.bindMemory(to: Float.self, capacity: number)
    }
    targets = floats(count)
    differences = floats(count)
    errors = needsErrors ? floats(count) : nil
    sums = floats(sumCount)
    kept = place.bindMemory(to: UInt8.self, capacity: count)
  }

  deinit {
    // After rounding, `targets` is memory of its own and `originals` the block's.
    if originals != nil { targets.deallocate() }
    memory.give(block)
  }

  /// Takes the weights and what is masked already.
  func gather() {
    let columns = columns
    sweep.target.values.withUnsafeBufferPointer {
      guard let start = $0.baseAddress else { return }
      pith_reversed_lanes(start + rows.lowerBound * columns, rows.count, columns, stride, targets)
    }
    for position in 0..<columns {
      let line = kept + position * stride
      line.initialize(repeating: 1, count: rows.count)
      (line + rows.count).initialize(repeating: 0, count: stride - rows.count)
    }
    guard let mask = sweep.mask else { return }
    for (index, row) in rows.enumerated() {
      for column in 0..<columns where !mask.isKept(row, column) {
        kept[(columns - 1 - column) * stride + index] = 0
      }
    }
  }

  // MARK: One run

  /// Brings what all columns done have left behind for a run into `sums`.
  private func collect(_ run: SparseSweep.Run) {
    if run.range.upperBound == run.span.upperBound {
      product(run.span, from: run.span.upperBound..<columns, adding: false, span: run.span)
    } else {
      product(
        run.range, from: run.range.upperBound..<run.span.upperBound, adding: true, span: run.span)
    }
  }

  /// sums[range] ← (sums[range] +) L[done, range]ᵀ · differences[done].
  private func product(
    _ range: Range<Int>, from done: Range<Int>, adding: Bool, span: Range<Int>
  ) {
    let to = sums + (range.lowerBound - span.lowerBound) * stride
    guard !done.isEmpty else {
      if !adding { to.update(repeating: 0, count: range.count * stride) }
      return
    }
    sweep.factor.lower.values.withUnsafeBufferPointer { factor in
      guard let l = factor.baseAddress else { return }
      BLAS.gemm(
        m: range.count, n: stride, k: done.count, alpha: 1,
        a: l + done.lowerBound * columns + range.lowerBound, lda: columns, transposeA: true,
        b: UnsafePointer(differences) + done.lowerBound * stride, ldb: stride, transposeB: false,
        beta: adding ? 1 : 0, c: to, ldc: stride)
    }
  }

  private func withRun<Result>(
    _ run: SparseSweep.Run, _ body: (inout PithPruneRun) -> Result
  ) -> Result {
    let start = run.range.lowerBound * stride
    return run.factor.withUnsafeBufferPointer { factor in
      var kernel = PithPruneRun()
      kernel.count = run.range.count
      kernel.stride = stride
      kernel.targets = UnsafePointer(targets + start)
      kernel.factor = factor.baseAddress
      kernel.sums = UnsafePointer(sums + (run.range.lowerBound - run.span.lowerBound) * stride)
      kernel.kept = kept + start
      kernel.differences = differences + start
      kernel.errors = errors.map { $0 + start }
      return body(&kernel)
    }
  }

  /// Keys of a run's entries, so that the lowest go first; the padding's are the highest.
  func look(_ run: SparseSweep.Run, keys: UnsafeMutablePointer<UInt32>) {
    collect(run)
    withRun(run) { pith_prune_look(&$0, nil, keys) }
    guard stride > rows.count else { return }
    for column in 0..<run.range.count {
      (keys + column * stride + rows.count).update(repeating: .max, count: stride - rows.count)
    }
  }

  /// Drops what has a key up to the threshold.
  func drop(_ run: SparseSweep.Run, keys: UnsafePointer<UInt32>, threshold: UInt32) {
    pith_drop_keys(
      keys, run.range.count * stride, threshold, kept + run.range.lowerBound * stride)
  }

  /// Drops the first entries whose key is the one given; how many are still to go after it.
  func drop(
    _ run: SparseSweep.Run, keys: UnsafePointer<UInt32>, equalTo key: UInt32, atMost count: Int
  ) -> Int {
    var left = count
    for row in 0..<rows.count {
      for column in (0..<run.range.count).reversed() where keys[column * stride + row] == key {
        guard left > 0 else { return 0 }
        kept[(run.range.lowerBound + column) * stride + row] = 0
        left -= 1
      }
    }
    return left
  }

  /// Goes through a run's columns.
  ///
  /// A fraction's run was looked at, which collected for it.
  func sweep(_ run: SparseSweep.Run, rounding: Bool) {
    if rounding {
      if !sweep.isFitting { collect(run) }
      let top = Int32((1 << (sweep.scheme?.bits ?? 0)) - 1)
      let start = run.range.lowerBound * stride
      withRun(run) { kernel in
        codes.withUnsafeMutableBufferPointer { codes in
          scales.withUnsafeBufferPointer { scales in
            zeros.withUnsafeBufferPointer { zeros in
              gridIndex.withUnsafeBufferPointer { grids in
                kernel.codes = codes.baseAddress.map { $0 + start }
                kernel.scales = scales.baseAddress
                kernel.zeros = zeros.baseAddress
                kernel.grid_index = grids.baseAddress.map { $0 + run.range.lowerBound }
                kernel.top = top
                _ = pith_prune_sweep(&kernel)
              }
            }
          }
        }
      }
      return
    }
    switch sweep.amount {
    case .fraction: sweptLoss += withRun(run) { pith_prune_sweep(&$0) }
    case .pattern(let pattern):
      collect(run)
      sweptLoss += withRun(run) {
        ($0.keep, $0.of) = (Int32(pattern.keep), Int32(pattern.of))
        return pith_prune_sweep(&$0)
      }
    }
  }

  // MARK: Grids

  /// A survivor's value before rounding.
  func settled(_ row: Int, _ column: Int) -> Float {
    targets[(columns - 1 - column) * stride + row]
  }

  func setGrid(_ row: Int, _ number: Int, scale: Float, zero: Float) {
    scales[number * stride + row] = scale
    zeros[number * stride + row] = zero
  }

  /// What has settled becomes the target of rounding.
  func restart() {
    let count = columns * stride
    let settled = UnsafeMutablePointer<Float>.allocate(capacity: max(count, 1))
    for index in 0..<count {
      settled[index] = kept[index] == 0 ? 0 : targets[index] - differences[index]
    }
    originals = targets
    targets = settled
    let groups = columns / sweep.group
    codes = Array(repeating: 0, count: count)
    scales = Array(repeating: 1, count: groups * stride)
    zeros = Array(repeating: 0, count: groups * stride)
    gridIndex = (0..<columns).map { Int32((columns - 1 - $0) / sweep.group) }
  }

  /// Fits the grids of the group that a run is, on its survivors as updated so far.
  func fit(_ run: SparseSweep.Run) throws(PruningError) {
    guard let scheme = sweep.scheme else { return }
    collect(run)
    let count = run.range.count
    var wanted = [Float](repeating: 0, count: count * stride)
    withRun(run) { kernel in
      wanted.withUnsafeMutableBufferPointer { pith_prune_look(&kernel, $0.baseAddress, nil) }
    }
    var panel = Matrix<Float>(rows: rows.count, columns: count, repeating: 0)
    let start = run.range.lowerBound * stride
    for offset in 0..<count {
      let from = (count - 1 - offset) * stride
      for row in 0..<rows.count where kept[start + from + row] != 0 {
        panel[row, offset] = wanted[from + row]
      }
    }
    let fitted: IntegerBase
    do {
      fitted = try IntegerEncoder(
        scheme.with(granularity: .channel), columns: count
      ).encode(panel).base
    } catch {
      // The target was checked: only updates can have left the range.
      throw .overflow(operation: "SparseGPT")
    }
    let number = (columns - run.range.upperBound) / sweep.group
    let found = fitted.scales.floats()
    let points = fitted.grid.zeroPoints(fitted.zeros, rows: rows.count, columns: count)
    for row in 0..<rows.count {
      setGrid(row, number, scale: found[row], zero: Float(points[row]))
    }
  }

  /// Counts from the original weights again.
  func finish() {
    guard let originals, let errors else { return }
    for index in 0..<columns * stride { differences[index] += originals[index] - targets[index] }
    sweep.factor.multiply(differences, into: errors, stride: stride, transposed: true)
  }
}

/// Memory of tiles that are done, for those to come: fresh pages cost more than what is done in them.
final class TileMemory: Sendable {
  private struct Blocks: @unchecked Sendable { var free: [UnsafeMutableRawBufferPointer] = [] }
  private let blocks = Mutex(Blocks())

  func take(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    let found = blocks.withLock { blocks -> UnsafeMutableRawBufferPointer? in
      guard let index = blocks.free.lastIndex(where: { $0.count >= byteCount }) else { return nil }
      return blocks.free.remove(at: index)
    }
    return found ?? .allocate(byteCount: byteCount, alignment: 64)
  }

  func give(_ block: UnsafeMutableRawBufferPointer) {
    blocks.withLock { $0.free.append(block) }
  }

  deinit { blocks.withLock { for block in $0.free { block.deallocate() } } }
}
