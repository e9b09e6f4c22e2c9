import Checkpoints
import Tensors
import Weights

extension GGUFBlocks {
  /// The blocks of a base, rows in `order`.
  static func encode(
    _ base: IntegerBase, as type: GGUFBlockType, order: [Int]?
  ) throws -> Bytes {
    let count = base.rows * base.columns / 32 * type.blockBytes
    return try Bytes(count: count) { target in
      try StagingBuffer().collect(at: 0) {
        try append(base, as: type, order: order, to: $0)
      } put: { bytes, offset in
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: bytes)
      }
    }
  }

  /// Appends the blocks of a base, rows in `order`.
  static func append(
    _ base: IntegerBase, as type: GGUFBlockType, order: [Int]?, to staging: StagingBuffer
  ) throws {
    let rowBytes = base.columns / 32 * type.blockBytes
    try staging.forEachPiece(rows: base.rows, bytes: rowBytes, order: order) { rows in
      staging.sources.begin()
      let window = try base.window(rows, in: staging.sources)
      let codes = staging.sources.take(base.columns)
      try staging.append(rows.count * rowBytes) { target in
        encode(try BlockScales(window, as: type), window, as: type, codes: codes, into: target)
      }
    }
  }

  /// The numbers that stand before a block's codes, as f16: of every group of some rows.
  private struct BlockScales {
    var scales: [UInt16]
    /// Zero point × scale, negative; empty for types without it.
    var offsets: [UInt16] = []

    init(_ window: IntegerBase, as type: GGUFBlockType) throws {
      guard type == .q4v1 || type == .q5v1 else {
        scales =
          window.grid.scaleType == .f16
          ? window.scales.bytes.array(of: UInt16.self)
          : window.scales.floats().map { FloatConversion.float16Bits($0) }
        return
      }
      let numbers = window.unpacked()
      scales = numbers.scales.map { FloatConversion.float16Bits($0) }
      offsets = zip(numbers.scales, numbers.zeros).map {
        FloatConversion.float16Bits(-Float($1) * $0)
      }
    }
  }

  /// - Parameter codes: room for a row's codes.
  private static func encode(
    _ numbers: BlockScales, _ window: IntegerBase, as type: GGUFBlockType,
    codes: UnsafeMutableRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) {
    let (bits, columns) = (window.grid.bits, window.columns)
    let stride = PackedCodes.bytes(count: columns, bits: bits)
    // A tensor's one scale stands for every row; with offsets it was repeated already.
    let isShared = window.grid.granularity == .tensor && numbers.offsets.isEmpty
    let reach = window.grid.reach(columns: columns)
    let scalesPerRow = isShared ? 0 : columns / reach
    let packing = BlockPacking(type, bits: bits)
    guard var place = target.baseAddress, let packed = window.codes.bytes.buffer.baseAddress,
      let unpacked = codes.baseAddress
    else { return }
    numbers.scales.withUnsafeBufferPointer { scales in
      numbers.offsets.withUnsafeBufferPointer { offsets in
        for row in 0..<window.rows {
          var from = packed + row * stride
          if type == .q8v0, bits == 8, let scale = scales.baseAddress {
            place = BlockPacking.pack(
              bytes: from, groups: columns / reach, blocks: reach / 32,
              scales: scale + row * scalesPerRow, to: place)
            continue
          }
          if bits < 8 {
            PackedCodes.unpack(from, count: columns, bits: bits, into: unpacked)
            from = UnsafeRawPointer(unpacked)
          }
          for first in Swift.stride(from: 0, to: columns, by: reach) {
            let group = row * scalesPerRow + first / reach
            let offset = offsets.isEmpty ? nil : offsets[group]
            place = packing.pack(
              from + first, blocks: reach / 32, scale: scales[group], offset: offset, to: place)
          }
        }
      }
    }
  }
}

/// Codes, one a byte, as the codes of blocks: eight in a word at once.
private struct BlockPacking {
  private let type: GGUFBlockType
  /// What is added to every code, or taken from it, so that it is the block's own.
  private let added: UInt64
  private let taken: UInt64

  init(_ type: GGUFBlockType, bits: Int) {
    self.type = type
    let middle = 1 << (bits - 1)
    func everywhere(_ value: Int) -> UInt64 { UInt64(value) * 0x0101_0101_0101_0101 }
    switch type {
    case .q4v0: added = everywhere(8 - middle)
    case .q5v0: added = everywhere(16 - middle)
    default: added = 0
    }
    // 8 bits are signed there.
    taken = type == .q8v0 ? everywhere(middle) : 0
  }

  /// Codes of 8 bits, `groups` runs of `blocks` blocks that share a scale; the place behind them.
  ///
  /// The commonest way, and as quick as memory: a code less 128 is the code with its top bit turned.
  static func pack(
    bytes codes: UnsafeRawPointer, groups: Int, blocks: Int, scales: UnsafePointer<UInt16>,
    to place: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    var (from, place) = (codes, place)
    for group in 0..<groups {
      let scale = scales[group].littleEndian
      for _ in 0..<blocks {
        place.storeBytes(of: scale, as: UInt16.self)
        for offset in stride(from: 0, to: 32, by: 8) {
          place.storeBytes(
            of: from.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
              ^ 0x8080_8080_8080_8080, toByteOffset: 2 + offset, as: UInt64.self)
        }
        from += 32
        place += 34
      }
    }
    return place
  }

  /// Blocks of one scale; the place behind them.
  func pack(
    _ codes: UnsafeRawPointer, blocks: Int, scale: UInt16, offset: UInt16?,
    to place: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    var place = place
    for block in 0..<blocks {
      let from = codes + block * 32
      func word(_ index: Int) -> UInt64 {
        UInt64(littleEndian: from.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      func put(_ value: some FixedWidthInteger) {
        place.storeBytes(of: value.littleEndian, as: Swift.type(of: value))
        place += MemoryLayout.size(ofValue: value)
      }
      put(scale)
      if let offset { put(offset) }
      if type == .q8v0 {
        for index in 0..<4 { put(centred(word(index))) }
        continue
      }
      let words = (
        word(0) &+ added, word(1) &+ added, word(2) &+ added, word(3) &+ added
      )
      if type == .q5v0 || type == .q5v1 {
        put(
          fifthBits(words.0) | fifthBits(words.1) << 8 | fifthBits(words.2) << 16
            | fifthBits(words.3) << 24)
      }
      // Byte j: element j in the low nibble, j + 16 in the high one.
      put(nibbles(words.0, words.2))
      put(nibbles(words.1, words.3))
    }
    return place
  }

  /// Eight codes less their middle: no byte borrows from its neighbour, as its top bit is set before.
  private func centred(_ word: UInt64) -> UInt64 {
    let top: UInt64 = 0x8080_8080_8080_8080
    return taken == top ? word ^ top : ((word | top) &- taken) ^ top
  }

  private func nibbles(_ low: UInt64, _ high: UInt64) -> UInt64 {
    let mask: UInt64 = 0x0F0F_0F0F_0F0F_0F0F
    return low & mask | (high & mask) << 4
  }

  /// Bit 4 of each byte, gathered by a product in which no two of them meet.
  private func fifthBits(_ word: UInt64) -> UInt32 {
    UInt32(
      truncatingIfNeeded: ((word >> 4 & 0x0101_0101_0101_0101) &* 0x0102_0408_1020_4080) >> 56)
  }
}

extension BlockBase {
  /// Appends the blocks, rows in an order.
  func append(order: [Int]?, to staging: StagingBuffer) throws {
    guard order != nil else { return try staging.append(blocks.bytes) }
    let rowBytes = blocks.shape.rowElementCount
    try staging.forEachPiece(rows: rows, bytes: rowBytes, order: order) { rows in
      try staging.append(rows.count * rowBytes) { try blocks.read(rows, into: $0) }
    }
  }
}
