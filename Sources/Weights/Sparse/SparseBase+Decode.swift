import Kernels
import Tensors

extension SparseBase {
  /// Decodes some rows to `target`, which has room for `range.count × columns` f32.
  public func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    forEachRow(range) { index, line in line.spread(into: target + index * columns) }
  }

  /// Some rows as f32.
  public func decoded(rows range: Range<Int>? = nil) -> Matrix<Float> {
    Base.sparse(self).decoded(rows: range)
  }

  /// A row's bitmap, its padding zero.
  func bitmap(row: Int) -> [UInt8] {
    let stride = (columns + 7) / 8
    switch positions {
    case .bitmap(let bits):
      return bits.bytes.withBuffer {
        Array(UnsafeRawBufferPointer(rebasing: $0[row * stride..<(row + 1) * stride]))
      }
    case .patterns:
      var result = [UInt8](repeating: 0, count: stride)
      expandPatterns(row: row, into: &result)
      return result
    case .gaps(let gaps, _):
      var result = [UInt8](repeating: 0, count: stride)
      var column = 0
      for gap in gaps.bytes.array(of: UInt8.self)[gapStarts[row]..<gapStarts[row + 1]] {
        column += Int(gap)
        guard gap < 255 else { continue }
        result[column / 8] |= 1 << UInt8(column % 8)
        column += 1
      }
      return result
    }
  }

  /// The kept entries as a mask.
  public var mask: Mask {
    let bytes = (0..<rows).flatMap { bitmap(row: $0) }
    return Mask(
      bits: Tensor(dtype: .u8, shape: [rows, (columns + 7) / 8], array: bytes), claim: claim)
  }

  private func expandPatterns(row: Int, into bitmap: UnsafeMutablePointer<UInt8>) {
    guard case .patterns(_, let of, let numbers) = positions else { return }
    let bits = PatternTable.bits(patterns.count)
    let stride = numbers.shape.dimensions[1]
    numbers.bytes.withBuffer { buffer in
      guard let start = buffer.baseAddress else { return }
      pith_expand_patterns(
        start.assumingMemoryBound(to: UInt8.self) + row * stride, columns / of, Int32(bits),
        Int32(of), patterns, bitmap)
    }
  }
}

/// One row, its survivors read and its positions at hand.
struct SparseLine {
  let columns: Int
  /// nil where gaps tell the places.
  let bitmap: UnsafePointer<UInt8>?
  let gaps: UnsafePointer<UInt8>?
  let survivors: Int
  /// Plain values, readable for 16 elements more; nil for codes.
  let values: UnsafePointer<Float>?
  let codes: UnsafePointer<UInt8>?
  let group: Int
  let scales: UnsafePointer<Float>?
  let zeros: UnsafePointer<Float>?

  func spread(into target: UnsafeMutablePointer<Float>) {
    if let bitmap, let values {
      _ = pith_expand_floats(bitmap, values, columns, target)
    } else if let bitmap, let codes {
      _ = pith_expand_codes(bitmap, codes, columns, group, scales, zeros, target)
    } else if let gaps, let values {
      pith_expand_gaps(gaps, survivors, values, columns, target)
    }
  }
}

extension SparseBase {
  /// Calls a body with one row after another, `index` counted from the range's start.
  func forEachRow(_ range: Range<Int>, _ body: (_ index: Int, _ line: SparseLine) -> Void) {
    // A row's survivors are at most its width; kernels may look 16 elements further, and a stream
    // begins up to 7 codes before a row.
    let room = columns + 32
    let grid: IntegerGrid? = if case .integer(let grid, _, _, _) = survivors { grid } else { nil }
    let groups = grid.map { $0.scaleColumns(columns: columns) } ?? 0
    withUnsafeTemporaryAllocation(of: Float.self, capacity: room + 2 * groups) { floats in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: room + columns / 8 + 1 + groups) {
        bytes in
        guard let values = floats.baseAddress, let codes = bytes.baseAddress else { return }
        floats.initialize(repeating: 0)
        bytes.initialize(repeating: 0)
        let scratch = Scratch(
          values: values, scales: values + room, zeros: values + room + groups, codes: codes,
          bitmap: codes + room, packedZeros: codes + room + columns / 8 + 1)
        for (index, row) in range.enumerated() {
          withExtendedLifetime(self) { body(index, line(row, grid, groups, scratch)) }
        }
      }
    }
  }

  private struct Scratch {
    let values: UnsafeMutablePointer<Float>
    let scales: UnsafeMutablePointer<Float>
    let zeros: UnsafeMutablePointer<Float>
    let codes: UnsafeMutablePointer<UInt8>
    let bitmap: UnsafeMutablePointer<UInt8>
    let packedZeros: UnsafeMutablePointer<UInt8>
  }

  /// Reads one row; what it points to lives until the next row is read.
  private func line(
    _ row: Int, _ grid: IntegerGrid?, _ groups: Int, _ scratch: Scratch
  ) -> SparseLine {
    var bitmap: UnsafePointer<UInt8>?
    var gaps: UnsafePointer<UInt8>?
    switch positions {
    case .bitmap(let bits):
      let start = bits.bytes.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      bitmap = start.map { $0 + row * ((columns + 7) / 8) }
    case .patterns:
      expandPatterns(row: row, into: scratch.bitmap)
      bitmap = UnsafePointer(scratch.bitmap)
    case .gaps(let tensor, _):
      let start = tensor.bytes.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      gaps = start.map { $0 + gapStarts[row] }
    }
    let (first, count) = (starts[row], starts[row + 1] - starts[row])
    switch survivors {
    case .dense(let tensor):
      let size = tensor.dtype.bytes
      if tensor.dtype == .f32, first + count + 16 <= tensor.shape.elementCount,
        let start = tensor.bytes.buffer.baseAddress, Int(bitPattern: start) % 4 == 0
      {
        return SparseLine(
          columns: columns, bitmap: bitmap, gaps: gaps, survivors: count,
          values: start.assumingMemoryBound(to: Float.self) + first, codes: nil, group: 0,
          scales: nil, zeros: nil)
      }
      FloatConversion.decode(
        UnsafeRawBufferPointer(
          rebasing: tensor.bytes.buffer[first * size..<(first + count) * size]),
        as: tensor.dtype, into: UnsafeMutableBufferPointer(start: scratch.values, count: count))
      return SparseLine(
        columns: columns, bitmap: bitmap, gaps: gaps, survivors: count,
        values: UnsafePointer(scratch.values), codes: nil, group: 0, scales: nil, zeros: nil)
    case .integer(_, let codes, let scales, let zeros):
      guard let grid else { preconditionFailure("codes without a grid") }
      read(scales, zeros, row: row, grid, groups, scratch)
      // Eight codes begin on a byte.
      let lead = first % 8
      if count > 0, let stream = codes.bytes.buffer.baseAddress {
        pith_unpack_codes(
          stream.assumingMemoryBound(to: UInt8.self) + first / 8 * grid.bits, count + lead,
          Int32(grid.bits), scratch.codes)
      }
      let group = grid.groupLength(columns: columns)
      var values: UnsafePointer<Float>?
      if let gaps {
        // Few survivors: each looks up its own group.
        decode(gaps, count, scratch.codes + lead, group, scratch)
        values = UnsafePointer(scratch.values)
      }
      return SparseLine(
        columns: columns, bitmap: bitmap, gaps: gaps, survivors: count, values: values,
        codes: UnsafePointer(scratch.codes + lead), group: group,
        scales: UnsafePointer(scratch.scales), zeros: UnsafePointer(scratch.zeros))
    }
  }

  private func read(
    _ scales: Tensor, _ zeros: Tensor?, row: Int, _ grid: IntegerGrid, _ groups: Int,
    _ scratch: Scratch
  ) {
    let line = grid.granularity == .tensor ? 0 : row
    let size = scales.dtype.bytes
    FloatConversion.decode(
      UnsafeRawBufferPointer(
        rebasing: scales.bytes.buffer[line * groups * size..<(line + 1) * groups * size]),
      as: scales.dtype, into: UnsafeMutableBufferPointer(start: scratch.scales, count: groups))
    guard let zeros, let stream = zeros.bytes.buffer.baseAddress else {
      scratch.zeros.update(repeating: Float(1 << (grid.bits - 1)), count: groups)
      return
    }
    let stride = PackedCodes.bytes(count: groups, bits: grid.bits)
    pith_unpack_codes(
      stream.assumingMemoryBound(to: UInt8.self) + line * stride, groups, Int32(grid.bits),
      scratch.packedZeros)
    for group in 0..<groups { scratch.zeros[group] = Float(scratch.packedZeros[group]) }
  }

  private func decode(
    _ gaps: UnsafePointer<UInt8>, _ count: Int, _ codes: UnsafePointer<UInt8>, _ group: Int,
    _ scratch: Scratch
  ) {
    var column = 0
    var at = 0
    for taken in 0..<count {
      while gaps[at] == 255 {
        column += 255
        at += 1
      }
      column += Int(gaps[at])
      at += 1
      let place = column / group
      scratch.values[taken] = (Float(codes[taken]) - scratch.zeros[place]) * scratch.scales[place]
      column += 1
    }
  }
}
