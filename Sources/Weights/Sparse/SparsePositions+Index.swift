import Kernels
import Tensors

extension SparsePositions {
  /// Where rows begin.
  struct Index {
    var starts: [Int]
    var gapStarts: [Int] = []
    var patterns: [UInt16] = []
  }

  /// Looks through the positions; everything that a file could have wrong is refused here.
  func index(rows: Int, columns: Int, part: String) throws(WeightsError) -> Index {
    let part = part + "/kept/"
    switch self {
    case .bitmap(let bits):
      return try Self.bitmap(bits, rows, columns, part + "bitmap")
    case .patterns(let keep, let of, let numbers):
      return try Self.patterns(keep, of, numbers, rows, columns, part + "patterns")
    case .gaps(let gaps, let counts):
      return try Self.gaps(gaps, counts, rows, columns, part)
    }
  }

  private static func bitmap(
    _ bits: Tensor, _ rows: Int, _ columns: Int, _ part: String
  ) throws(WeightsError) -> Index {
    let stride = (columns + 7) / 8
    try bits.check(part: part, types: [.u8], shape: [rows, stride])
    if let row = PackedCodes.firstDirtyPadding(
      bits.bytes.buffer, rows: rows, count: columns, bits: 1)
    {
      throw .paddingNotZero(part: part, row: row)
    }
    var starts = [0]
    starts.reserveCapacity(rows + 1)
    bits.bytes.withBuffer { buffer in
      let bytes = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      var total = 0
      for row in 0..<rows {
        if let bytes { total += Int(pith_count_bits(bytes + row * stride, stride)) }
        starts.append(total)
      }
    }
    return Index(starts: starts)
  }

  private static func patterns(
    _ keep: Int, _ of: Int, _ numbers: Tensor, _ rows: Int, _ columns: Int, _ part: String
  ) throws(WeightsError) -> Index {
    guard of >= 2, of <= PatternTable.largest, keep >= 1, keep < of, columns % of == 0 else {
      throw .patternInvalid(keep: keep, of: of, columns: columns)
    }
    let table = PatternTable.patterns(keep: keep, of: of)
    let bits = PatternTable.bits(table.count)
    let groups = columns / of
    let stride = (groups * bits + 7) / 8
    try numbers.check(part: part, types: [.u8], shape: [rows, stride])
    if let row = PackedCodes.firstDirtyPadding(
      numbers.bytes.buffer, rows: rows, count: groups, bits: bits)
    {
      throw .paddingNotZero(part: part, row: row)
    }
    let bad = numbers.bytes.withBuffer { buffer -> (Int, Int)? in
      for row in 0..<rows {
        var reader = BitReader(buffer, byte: row * stride)
        for group in 0..<groups where reader.next(bits) >= table.count { return (row, group) }
      }
      return nil
    }
    if let (row, group) = bad {
      throw .patternNumberOutOfRange(part: part, row: row, group: group, count: table.count)
    }
    return Index(starts: (0...rows).map { $0 * groups * keep }, patterns: table)
  }

  private static func gaps(
    _ gaps: Tensor, _ counts: Tensor, _ rows: Int, _ columns: Int, _ part: String
  ) throws(WeightsError) -> Index {
    try counts.check(part: part + "counts", types: [.i32], shape: [rows])
    guard gaps.dtype == .u8 else {
      throw .elementType(part: part + "gaps", expected: [.u8], found: gaps.dtype)
    }
    guard gaps.shape.rank == 1 else {
      throw .shape(
        part: part + "gaps", expected: [gaps.shape.elementCount], found: gaps.shape.dimensions)
    }
    let bytes = gaps.bytes.array(of: UInt8.self)
    var index = Index(starts: [0], gapStarts: [0])
    var at = 0
    for (row, count) in counts.bytes.array(of: Int32.self).enumerated() {
      guard count >= 0, count <= columns else {
        throw .gapsInvalid(part: part + "counts", row: row)
      }
      var column = 0
      var left = Int(count)
      while left > 0 {
        guard at < bytes.count else { throw .gapsInvalid(part: part + "gaps", row: row) }
        column += Int(bytes[at])
        if bytes[at] < 255 {
          column += 1
          left -= 1
        }
        at += 1
        guard column <= columns else { throw .gapsInvalid(part: part + "gaps", row: row) }
      }
      index.starts.append((index.starts.last ?? 0) + Int(count))
      index.gapStarts.append(at)
    }
    guard at == bytes.count else { throw .gapsInvalid(part: part + "gaps", row: rows) }
    return index
  }
}

/// Unsigned numbers of a stream, least significant bit first.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  private var byte: Int
  private var word: UInt64 = 0
  private var held = 0

  init(_ bytes: UnsafeRawBufferPointer, byte: Int) {
    self.bytes = bytes
    self.byte = byte
  }

  mutating func next(_ bits: Int) -> Int {
    while held < bits {
      word |= UInt64(bytes[byte]) << UInt64(held)
      byte += 1
      held += 8
    }
    let value = Int(word & (1 << UInt64(bits) - 1))
    word >>= UInt64(bits)
    held -= bits
    return value
  }
}

/// Writes such a stream.
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private var word: UInt64 = 0
  private var held = 0

  mutating func append(_ value: Int, bits: Int) {
    word |= UInt64(value) << UInt64(held)
    held += bits
    while held >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: word))
      word >>= 8
      held -= 8
    }
  }

  /// Pads to a byte.
  mutating func align() {
    if held > 0 { bytes.append(UInt8(truncatingIfNeeded: word)) }
    word = 0
    held = 0
  }
}
