import Kernels
import LinearAlgebra
import Tensors
import Weights

/// Memory that the sweep's tiles fill at separate places.
///
/// Whoever holds the state promises that no two tiles write to one row.
final class SweepState: @unchecked Sendable {
  private let sweep: SparseSweep
  private let rows: Int
  private let columns: Int
  /// Updated weights, results where the sweep has passed; rows × columns.
  private var weights: UnsafeMutablePointer<Float>
  /// 1 where an entry counts.
  private let kept: UnsafeMutablePointer<UInt8>
  private let codes: UnsafeMutablePointer<UInt8>
  private let scales: UnsafeMutablePointer<Float>
  private let zeros: UnsafeMutablePointer<Float>
  private let groups: Int
  private var loss = 0.0
  private let tiles: Int

  init(_ sweep: SparseSweep) {
    self.sweep = sweep
    rows = sweep.target.rows
    columns = sweep.target.columns
    let count = rows * columns
    groups = sweep.scheme == nil ? 0 : columns / sweep.group
    weights = .allocate(capacity: max(count, 1))
    kept = .allocate(capacity: max(count, 1))
    codes = .allocate(capacity: sweep.scheme == nil ? 1 : max(count, 1))
    scales = .allocate(capacity: max(rows * groups, 1))
    zeros = .allocate(capacity: max(rows * groups, 1))
    tiles = (rows + SparseSweep.tileRows - 1) / SparseSweep.tileRows
    sweep.target.values.withUnsafeBufferPointer {
      if let start = $0.baseAddress { weights.initialize(from: start, count: count) }
    }
    kept.initialize(repeating: 1, count: count)
    if let mask = sweep.mask {
      for row in 0..<rows {
        for column in 0..<columns where !mask.isKept(row, column) {
          kept[row * columns + column] = 0
        }
      }
    }
  }

  deinit {
    weights.deallocate()
    kept.deallocate()
    codes.deallocate()
    scales.deallocate()
    zeros.deallocate()
  }

  private func range(_ tile: Int) -> Range<Int> {
    tile * SparseSweep.tileRows..<min((tile + 1) * SparseSweep.tileRows, rows)
  }

  /// Fits every grid on the weights as they are.
  func fitBefore(pool: WorkerPool) throws {
    guard let scheme = sweep.scheme else { return }
    let fitted: IntegerBase
    do {
      fitted = try IntegerBase.roundToNearest(
        sweep.target, scheme: scheme, mask: sweep.mask, pool: pool)
    } catch { throw PruningError.weights(error) }
    let found = fitted.scales.floats()
    let points = scheme.grid.zeroPoints(fitted.zeros, rows: rows, columns: columns)
    let isPerTensor = scheme.granularity == .tensor
    for index in 0..<rows * groups {
      scales[index] = found[isPerTensor ? 0 : index]
      zeros[index] = Float(points[isPerTensor ? 0 : index])
    }
  }

  /// One block of columns.
  func sweep(_ block: Range<Int>, pool: WorkerPool) throws {
    if case .fraction(let fraction, _) = sweep.amount {
      choose(block, fraction: fraction, pool: pool)
    }
    let width = (block.count + 15) / 16 * 16
    let diagonal = diagonalBlock(block, width: width)
    let losses = try pool.map(tiles) { (tile: Int) throws -> Double in
      try self.sweep(block, rows: self.range(tile), diagonal: diagonal, width: width)
    }
    for value in losses { loss += value }
  }

  /// U's diagonal block, padded with zeros.
  private func diagonalBlock(_ block: Range<Int>, width: Int) -> [Float] {
    var result = [Float](repeating: 0, count: width * width)
    for (row, from) in block.enumerated() {
      for column in row..<block.count {
        result[row * width + column] = sweep.factor[from, block.lowerBound + column]
      }
    }
    return result
  }

  /// The block's mask: so many of all its entries that the matrix has the asked-for fraction up to
  /// the block's end.
  private func choose(_ block: Range<Int>, fraction: Double, pool: WorkerPool) {
    let count = block.count
    let inverse = block.map { 1 / sweep.factor[$0, $0] }
    var keys = [UInt32](repeating: 0, count: rows * count)
    keys.withUnsafeMutableBufferPointer { target in
      nonisolated(unsafe) let target = target
      pool.forEach(tiles) { (tile: Int) in
        for row in self.range(tile) {
          let line = row * self.columns + block.lowerBound
          for column in 0..<count where self.kept[line + column] != 0 {
            let ratio = self.weights[line + column] * inverse[column]
            target[row * count + column] = (ratio * ratio).bitPattern + 1
          }
        }
      }
    }
    let share =
      SparsityClaim.dropped(of: rows * block.upperBound, fraction: fraction)
      - SparsityClaim.dropped(of: rows * block.lowerBound, fraction: fraction)
    var dropped = [Bool](repeating: false, count: keys.count)
    keys.withUnsafeBufferPointer { keys in
      dropped.withUnsafeMutableBufferPointer { MaskChoice.drop(share, of: keys, into: $0) }
    }
    for row in 0..<rows {
      for column in 0..<count where dropped[row * count + column] {
        kept[row * columns + block.lowerBound + column] = 0
      }
    }
  }

  /// One block of some rows, and what follows for the columns after it.
  private func sweep(
    _ block: Range<Int>, rows range: Range<Int>, diagonal: [Float], width: Int
  ) throws -> Double {
    let count = range.count
    return try withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * count * width) {
      floats in
      try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * count * width) { bytes in
        floats.initialize(repeating: 0)
        bytes.initialize(repeating: 0)
        guard let values = floats.baseAddress, let flags = bytes.baseAddress else { return 0 }
        let errors = values + count * width
        for (index, row) in range.enumerated() {
          let from = row * columns + block.lowerBound
          (values + index * width).update(from: weights + from, count: block.count)
          (flags + index * width).update(from: kept + from, count: block.count)
        }
        return try diagonal.withUnsafeBufferPointer { factor in
          var tile = PithSweepTile()
          tile.values = values
          tile.errors = errors
          tile.kept = flags
          tile.factor = factor.baseAddress
          tile.rows = count
          tile.width = width
          if case .pattern(let pattern) = sweep.amount {
            (tile.keep, tile.of) = (Int32(pattern.keep), Int32(pattern.of))
          }
          if let scheme = sweep.scheme {
            tile.codes = flags + count * width
            tile.scales = UnsafePointer(scales + range.lowerBound * groups)
            tile.zeros = UnsafePointer(zeros + range.lowerBound * groups)
            tile.grid_stride = groups
            tile.group = sweep.group
            tile.column = block.lowerBound
            tile.top = Float((1 << scheme.bits) - 1)
          }
          var loss = 0.0
          let step = sweep.isFitting ? sweep.group : block.count
          for first in stride(from: 0, to: block.count, by: step) {
            let last = min(first + step, block.count)
            if sweep.isFitting { try fit(&tile, first..<last, block, range) }
            loss += pith_sparse_sweep(&tile, first, last)
          }
          store(tile, block, range)
          update(block, range, errors: errors, width: width)
          return loss
        }
      }
    }
  }

  /// Fits one group's grids on the survivors as updated so far.
  private func fit(
    _ tile: inout PithSweepTile, _ part: Range<Int>, _ block: Range<Int>, _ range: Range<Int>
  ) throws {
    guard let scheme = sweep.scheme, let values = tile.values, let flags = tile.kept else { return }
    let (width, count) = (tile.width, range.count)
    var provisional = Array(UnsafeBufferPointer(start: flags, count: count * width))
    if tile.of > 0 {
      provisional.withUnsafeMutableBufferPointer {
        tile.kept = $0.baseAddress
        pith_choose_patterns(&tile, part.lowerBound, part.upperBound)
        tile.kept = flags
      }
    }
    var panel = Matrix<Float>(rows: count, columns: part.count, repeating: 0)
    for row in 0..<count {
      for (index, column) in part.enumerated() where provisional[row * width + column] != 0 {
        panel[row, index] = values[row * width + column]
      }
    }
    let fitted: IntegerBase
    do {
      fitted = try IntegerEncoder(
        scheme.with(granularity: .channel), columns: part.count
      ).encode(panel).base
    } catch {
      // The target was checked: only updates can have left the range.
      throw PruningError.overflow(operation: "SparseGPT")
    }
    let number = (block.lowerBound + part.lowerBound) / sweep.group
    let found = fitted.scales.floats()
    let points = fitted.grid.zeroPoints(fitted.zeros, rows: count, columns: part.count)
    for (index, row) in range.enumerated() {
      scales[row * groups + number] = found[index]
      zeros[row * groups + number] = Float(points[index])
    }
  }

  private func store(_ tile: PithSweepTile, _ block: Range<Int>, _ range: Range<Int>) {
    for (index, row) in range.enumerated() {
      let to = row * columns + block.lowerBound
      let from = index * tile.width
      (weights + to).update(from: tile.values + from, count: block.count)
      (kept + to).update(from: tile.kept + from, count: block.count)
      if let found = tile.codes { (codes + to).update(from: found + from, count: block.count) }
    }
  }

  /// weights[rows, after] −= errors · U[block, after].
  private func update(
    _ block: Range<Int>, _ range: Range<Int>, errors: UnsafeMutablePointer<Float>, width: Int
  ) {
    let after = columns - block.upperBound
    guard after > 0 else { return }
    sweep.factor.values.withUnsafeBufferPointer { factor in
      guard let u = factor.baseAddress else { return }
      BLAS.gemm(
        m: range.count, n: after, k: block.count, alpha: -1, a: UnsafePointer(errors), lda: width,
        transposeA: false, b: u + block.lowerBound * columns + block.upperBound, ldb: columns,
        transposeB: false, beta: 1, c: weights + range.lowerBound * columns + block.upperBound,
        ldc: columns)
    }
  }

  func outcome() -> SparseSweep.Outcome {
    let count = rows * columns
    let dropped = (0..<count).map { kept[$0] == 0 }
    var squaredError = 0.0
    for index in 0..<count {
      let difference = Double(sweep.target.values[index]) - Double(weights[index])
      squaredError += difference * difference
    }
    return SparseSweep.Outcome(
      base: base(), dropped: dropped, loss: loss, squaredError: squaredError)
  }

  private func base() -> Base {
    guard let scheme = sweep.scheme else {
      return .dense(
        Matrix(
          rows: rows, columns: columns,
          values: Array(UnsafeBufferPointer(start: weights, count: rows * columns))))
    }
    let grid = scheme.grid
    var packed: [UInt8] = []
    var points: [UInt8] = []
    let isPerTensor = scheme.granularity == .tensor
    for row in 0..<rows {
      let line = Array(UnsafeBufferPointer(start: codes + row * columns, count: columns))
      packed += PackedCodes.pack(line, bits: scheme.bits)
      if !scheme.symmetric, !isPerTensor || row == 0 {
        let line = (0..<groups).map { UInt8(zeros[row * groups + $0]) }
        points += PackedCodes.pack(line, bits: scheme.bits)
      }
    }
    let lines = isPerTensor ? 1 : rows
    let codeBytes = PackedCodes.bytes(count: columns, bits: scheme.bits)
    let zeroBytes = PackedCodes.bytes(count: groups, bits: scheme.bits)
    return .integer(
      IntegerBase(
        grid: grid, rows: rows, columns: columns,
        codes: Tensor(dtype: .u8, shape: [rows, codeBytes], array: packed),
        scales: grid.tensor(
          ofScales: Array(UnsafeBufferPointer(start: scales, count: lines * groups)),
          shape: [lines, groups]),
        zeros: scheme.symmetric
          ? nil : Tensor(dtype: .u8, shape: [lines, zeroBytes], array: points)))
  }
}
