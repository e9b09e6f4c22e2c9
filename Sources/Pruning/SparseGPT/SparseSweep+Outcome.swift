import Kernels
import Tensors
import Weights

extension SparseSweep {
  /// Values, bits and errors of all tiles, rows in order again.
  ///
  /// - Parameter tile: a tile that has gone all the way; asked for once each, by any worker.
  func outcome(
    _ count: Int, columns: Int, pool: WorkerPool, _ tile: @Sendable (Int) -> SparseTile
  ) -> Outcome {
    let rows = target.rows
    let bytes = (columns + 7) / 8
    var bits = [UInt8](repeating: 0, count: rows * bytes)
    var sums = [Double](repeating: 0, count: 2 * count)
    // Only rounded ones are asked for once more.
    let rounded = scheme == nil ? [] : (0..<count).map(tile)
    let values = Bytes(count: rows * columns * MemoryLayout<Float>.stride) { storage in
      bits.withUnsafeMutableBufferPointer { bits in
        sums.withUnsafeMutableBufferPointer { sums in
          guard let start = storage.bindMemory(to: Float.self).baseAddress,
            let line = bits.baseAddress, let sum = sums.baseAddress
          else { return }
          // Tiles write to rows of their own.
          nonisolated(unsafe) let (to, flags, found) = (start, line, sum)
          pool.forEach(count) { (index: Int) -> Void in
            let tile = rounded.isEmpty ? tile(index) : rounded[index]
            found[2 * index] = tile.loss
            found[2 * index + 1] = pith_survivors_from_lanes(
              tile.originals ?? tile.targets, tile.differences, tile.kept, tile.rows.count,
              columns, tile.stride, to + tile.rows.lowerBound * columns,
              flags + tile.rows.lowerBound * bytes)
          }
        }
      }
    }
    return Outcome(
      base: base(rounded, values, columns: columns), bits: bits,
      loss: stride(from: 0, to: sums.count, by: 2).reduce(0) { $0 + sums[$1] },
      squaredError: stride(from: 1, to: sums.count, by: 2).reduce(0) { $0 + sums[$1] })
  }

  private func base(_ tiles: [SparseTile], _ values: Bytes, columns: Int) -> Base {
    if let scheme { return .integer(base(tiles, columns: columns, scheme: scheme)) }
    let shape: Shape = [target.rows, columns]
    // The bytes are as many as the shape says.
    guard let tensor = try? Tensor(dtype: .f32, shape: shape, bytes: values) else {
      preconditionFailure("\(values.buffer.count) bytes for \(shape)")
    }
    return .dense(DenseBase(values: tensor))
  }

  private func base(
    _ tiles: [SparseTile], columns: Int, scheme: IntegerScheme
  ) -> IntegerBase {
    let grid = scheme.grid
    let groups = columns / group
    let isPerTensor = scheme.granularity == .tensor
    var packed: [UInt8] = []
    var points: [UInt8] = []
    var scales: [Float] = []
    for tile in tiles {
      for (index, row) in tile.rows.enumerated() {
        packed += PackedCodes.pack(
          (0..<columns).map { tile.codes[(columns - 1 - $0) * tile.stride + index] },
          bits: scheme.bits)
        guard !isPerTensor || row == 0 else { continue }
        scales += (0..<groups).map { tile.scales[$0 * tile.stride + index] }
        if !scheme.symmetric {
          points += PackedCodes.pack(
            (0..<groups).map { UInt8(tile.zeros[$0 * tile.stride + index]) }, bits: scheme.bits)
        }
      }
    }
    let rows = target.rows
    let lines = isPerTensor ? 1 : rows
    return IntegerBase(
      grid: grid, rows: rows, columns: columns,
      codes: Tensor(
        dtype: .u8, shape: [rows, PackedCodes.bytes(count: columns, bits: scheme.bits)],
        array: packed),
      scales: grid.tensor(ofScales: scales, shape: [lines, groups]),
      zeros: scheme.symmetric
        ? nil
        : Tensor(
          dtype: .u8, shape: [lines, PackedCodes.bytes(count: groups, bits: scheme.bits)],
          array: points))
  }
}

extension SparseTile {
  /// Σ errors² over the rows.
  var loss: Double {
    guard let errors else { return sweptLoss }
    var squares = [Double](repeating: 0, count: stride)
    pith_lane_squares(errors, columns, stride, &squares)
    return squares.reduce(0, +)
  }
}
