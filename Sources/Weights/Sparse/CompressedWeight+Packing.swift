import Kernels
import Tensors

extension CompressedWeight {
  /// The weight with base and mask in the form that takes the fewest bytes.
  ///
  /// (1) It decodes to the same values, bit for bit; (2) it is never larger; (3) without a mask it
  /// is what it was. Of several forms of one size a bitmap comes first, then patterns, then gaps.
  public func packed() -> CompressedWeight {
    guard let mask, let base, rows > 0, columns > 0,
      let packing = SparsePacking(base: base, mask: mask, rows: rows, columns: columns)
    else { return self }
    let whole = (base.payloads + [mask.bits]).reduce(0) { $0 + $1.bytes.count }
    guard let sparse = packing.smallest(below: whole) else { return self }
    var result = self
    result.base = .sparse(sparse)
    result.mask = nil
    return result
  }

  /// The weight with base and mask apart, as stages take them.
  public func unpacked() -> CompressedWeight {
    guard case .sparse(let sparse)? = base else { return self }
    var result = self
    let mask = sparse.mask
    result.mask = mask
    switch sparse.survivors {
    case .dense(let values):
      result.base = .dense(sparse.decoded(), as: values.dtype)
    case .integer(let grid, _, let scales, let zeros):
      result.base = .integer(
        IntegerBase(
          grid: grid, rows: rows, columns: columns, codes: sparse.wholeCodes(mask),
          scales: scales, zeros: zeros))
    }
    return result
  }
}

extension SparseBase {
  /// Codes of every entry, the zero point's where nothing survived.
  fileprivate func wholeCodes(_ mask: Mask) -> Tensor {
    guard case .integer(let grid, let codes, _, let zeros) = survivors else {
      preconditionFailure("codes of plain survivors")
    }
    let stream = PackedCodes.unpack(
      codes.bytes.array(of: UInt8.self), count: survivorCount, bits: grid.bits)
    let points = grid.zeroPoints(zeros, rows: rows, columns: columns)
    let group = grid.groupLength(columns: columns)
    let width = grid.scaleColumns(columns: columns)
    var packed: [UInt8] = []
    var taken = 0
    for row in 0..<rows {
      let line = grid.granularity == .tensor ? 0 : row * width
      var values = [UInt8](repeating: 0, count: columns)
      for column in 0..<columns {
        if mask.isKept(row, column) {
          values[column] = stream[taken]
          taken += 1
        } else {
          values[column] = points[line + column / group]
        }
      }
      packed += PackedCodes.pack(values, bits: grid.bits)
    }
    return Tensor(
      dtype: .u8, shape: [rows, PackedCodes.bytes(count: columns, bits: grid.bits)],
      array: packed)
  }
}

extension IntegerGrid {
  /// Every zero point, in the order of the scales.
  public func zeroPoints(_ zeros: Tensor?, rows: Int, columns: Int) -> [UInt8] {
    let count = scaleColumns(columns: columns)
    let lines = scaleRows(rows: rows)
    guard let zeros else { return Array(repeating: UInt8(1 << (bits - 1)), count: lines * count) }
    let bytes = zeros.bytes.array(of: UInt8.self)
    let stride = PackedCodes.bytes(count: count, bits: bits)
    return (0..<lines).flatMap {
      PackedCodes.unpack(Array(bytes[$0 * stride..<($0 + 1) * stride]), count: count, bits: bits)
    }
  }
}

/// A base and a mask on the way to one of the sparse forms.
struct SparsePacking {
  private let base: Base
  private let mask: Mask
  private let rows: Int
  private let columns: Int
  /// Bits of a survivor.
  private let survivorBits: Int
  private let kept: Int

  /// nil where there is no sparse form: f64 values, a base that is sparse already.
  init?(base: Base, mask: Mask, rows: Int, columns: Int) {
    switch base {
    case .dense(let dense):
      guard [.f32, .f16, .bf16].contains(dense.values.dtype) else { return nil }
      survivorBits = 8 * dense.values.dtype.bytes
    case .integer(let integer): survivorBits = integer.grid.bits
    default: return nil
    }
    self.base = base
    self.mask = mask
    self.rows = rows
    self.columns = columns
    kept = mask.keptCount
  }

  /// The smallest form, nil when none takes fewer bytes than `limit`.
  func smallest(below limit: Int) -> SparseBase? {
    let bitmapBytes = mask.bits.bytes.count + survivorBytes(kept)
    let pattern = exactPattern()
    let patternBytes = pattern.map { keep, of in
      let bits = PatternTable.bits(PatternTable.count(keep: keep, of: of))
      return rows * ((columns / of * bits + 7) / 8) + survivorBytes(rows * columns / of * keep)
    }
    // A gap takes a byte: with more than an eighth kept the bitmap is smaller.
    let gaps = kept * 8 < rows * columns ? gapBytes() : nil
    let gapBytes = gaps.map { $0.gaps.count + 4 * rows + survivorBytes(kept) }
    let best = min(bitmapBytes, patternBytes ?? .max, gapBytes ?? .max)
    guard best + gridBytes < limit else { return nil }
    let positions: SparsePositions
    if best == bitmapBytes {
      positions = .bitmap(mask.bits)
    } else if let pattern, best == patternBytes {
      positions = patterns(keep: pattern.keep, of: pattern.of)
    } else if let gaps {
      positions = .gaps(
        Tensor(dtype: .u8, shape: [gaps.gaps.count], array: gaps.gaps),
        counts: Tensor(dtype: .i32, shape: [rows], array: gaps.counts))
    } else {
      return nil
    }
    return try? SparseBase(
      rows: rows, columns: columns, positions: positions, survivors: survivors(),
      claim: mask.claim)
  }

  private func survivorBytes(_ count: Int) -> Int { (count * survivorBits + 7) / 8 }

  private var gridBytes: Int {
    guard case .integer(let integer) = base else { return 0 }
    return integer.scales.bytes.count + (integer.zeros?.bytes.count ?? 0)
  }

  /// The pattern with exactly so many kept in every group whose number takes the fewest bits.
  private func exactPattern() -> (keep: Int, of: Int)? {
    var best: (keep: Int, of: Int)?
    var least = 1.0
    for of in 2...PatternTable.largest where columns % of == 0 {
      guard let keep = uniformCount(of: of), keep > 0, keep < of else { continue }
      let bits = PatternTable.bits(PatternTable.count(keep: keep, of: of))
      let share = Double(bits) / Double(of)
      if share < least { (best, least) = ((keep, of), share) }
    }
    return best
  }

  /// How many every group keeps; nil when groups differ.
  private func uniformCount(of: Int) -> Int? {
    let stride = (columns + 7) / 8
    return mask.bits.bytes.withBuffer { buffer -> Int? in
      var expected: Int?
      for row in 0..<rows {
        var reader = BitReader(buffer, byte: row * stride)
        for _ in 0..<columns / of {
          let count = reader.next(of).nonzeroBitCount
          if count != expected ?? count { return nil }
          expected = count
        }
      }
      return expected
    }
  }

  private func patterns(keep: Int, of: Int) -> SparsePositions {
    let table = PatternTable.patterns(keep: keep, of: of)
    var numbers = [Int](repeating: 0, count: 1 << of)
    for (number, word) in table.enumerated() { numbers[Int(word)] = number }
    let bits = PatternTable.bits(table.count)
    let stride = (columns + 7) / 8
    var writer = BitWriter()
    mask.bits.bytes.withBuffer { buffer in
      for row in 0..<rows {
        var reader = BitReader(buffer, byte: row * stride)
        for _ in 0..<columns / of { writer.append(numbers[reader.next(of)], bits: bits) }
        writer.align()
      }
    }
    let width = (columns / of * bits + 7) / 8
    return .patterns(
      keep: keep, of: of,
      numbers: Tensor(dtype: .u8, shape: [rows, width], array: writer.bytes))
  }

  private func gapBytes() -> (gaps: [UInt8], counts: [Int32]) {
    var gaps: [UInt8] = []
    var counts: [Int32] = []
    for row in 0..<rows {
      var last = -1
      var count: Int32 = 0
      for column in 0..<columns where mask.isKept(row, column) {
        var skip = column - last - 1
        while skip >= 255 {
          gaps.append(255)
          skip -= 255
        }
        gaps.append(UInt8(skip))
        last = column
        count += 1
      }
      counts.append(count)
    }
    return (gaps, counts)
  }

  private func survivors() -> Survivors {
    switch base {
    case .dense(let dense):
      let values = dense.values
      switch values.dtype.bytes {
      case 2:
        return .dense(
          Tensor(
            dtype: values.dtype, shape: [kept], array: taken(values.bytes.array(of: UInt16.self))))
      default:
        return .dense(
          Tensor(
            dtype: values.dtype, shape: [kept], array: taken(values.bytes.array(of: UInt32.self))))
      }
    case .integer(let integer):
      let bits = integer.grid.bits
      let stride = PackedCodes.bytes(count: columns, bits: bits)
      let stream = integer.codes.bytes.array(of: UInt8.self)
      var codes: [UInt8] = []
      codes.reserveCapacity(kept)
      for row in 0..<rows {
        let line = PackedCodes.unpack(
          Array(stream[row * stride..<(row + 1) * stride]), count: columns, bits: bits)
        forEachKept(row) { codes.append(line[$0]) }
      }
      return .integer(
        integer.grid,
        codes: Tensor(
          dtype: .u8, shape: [survivorBytes(kept)], array: PackedCodes.pack(codes, bits: bits)),
        scales: integer.scales, zeros: integer.zeros)
    default: preconditionFailure("a base that has no sparse form")
    }
  }

  private func taken<Bits: BitwiseCopyable>(_ values: [Bits]) -> [Bits] {
    var result: [Bits] = []
    result.reserveCapacity(kept)
    for row in 0..<rows { forEachKept(row) { result.append(values[row * columns + $0]) } }
    return result
  }

  private func forEachKept(_ row: Int, _ body: (Int) -> Void) {
    let stride = (columns + 7) / 8
    mask.bits.bytes.withBuffer { buffer in
      for byte in 0..<stride {
        var bits = buffer[row * stride + byte]
        while bits != 0 {
          body(byte * 8 + bits.trailingZeroBitCount)
          bits &= bits - 1
        }
      }
    }
  }
}
