import Tensors
import Weights

/// Matrices that other tools keep with their inputs first.
extension StagingBuffer {
  /// Rows of a transposed matrix that go out together: those of a cache line of the source.
  private static func lines<Element>(_ type: Element.Type) -> Int {
    64 / MemoryLayout<Element>.size
  }

  /// Appends a matrix of integers, `rows × columns`, as `columns × rows`.
  func append<Element: FixedWidthInteger>(
    transposed source: UnsafePointer<Element>, rows: Int, columns: Int
  ) throws {
    let step = Self.lines(Element.self)
    for first in stride(from: 0, to: columns, by: step) {
      let count = min(step, columns - first)
      try append(count * rows * MemoryLayout<Element>.size) { memory in
        guard let target = memory.baseAddress else { return }
        // A few rows at a time: lines of the target whose distance is a power of two share a few
        // places of the cache, and push each other out.
        for row in stride(from: 0, to: rows, by: 8) {
          let height = min(8, rows - row)
          for column in 0..<count {
            var from = source + row * columns + first + column
            var to = target + (column * rows + row) * MemoryLayout<Element>.size
            for _ in 0..<height {
              to.storeBytes(of: from.pointee, as: Element.self)
              to += MemoryLayout<Element>.size
              from += columns
            }
          }
        }
      }
    }
  }

  /// Appends a base's codes with words first: `words × rows`, each row's dense stream in 32-bit words.
  ///
  /// A row must end at a word.
  func append(wordsFirst base: IntegerBase) throws {
    sources.begin()
    let window = try base.codes.window(.range(0..<base.rows), in: sources)
    try window.bytes.withBuffer { codes in
      guard let start = codes.baseAddress else { return }
      // Memory of ours, aligned to 64 bytes.
      try append(
        transposed: start.assumingMemoryBound(to: UInt32.self), rows: base.rows,
        columns: base.columns * base.grid.bits / 32)
    }
  }

  /// Appends a base's scales as groups × outputs in f16; a tensor's one scale for every output.
  func append(transposedScalesOf base: IntegerBase) throws {
    let groups = base.columns / base.grid.reach(columns: base.columns)
    guard base.grid.granularity != .tensor, base.scales.dtype == .f16 else {
      return try append(GPTQLayout.transposedScales(base.unpacked()))
    }
    sources.begin()
    let window = try base.scales.window(.range(0..<base.rows), in: sources)
    try window.bytes.withBuffer { scales in
      guard let start = scales.baseAddress else { return }
      try append(
        transposed: start.assumingMemoryBound(to: UInt16.self), rows: base.rows, columns: groups)
    }
  }

  /// Appends 4-bit codes packed along the outputs in AWQ's order: `columns × rows / 8` words.
  ///
  /// Eight rows of 16 codes are turned about in place: halves, bytes and nibbles change places.
  /// Columns must be a multiple of 16, rows of 8.
  func append(awq base: IntegerBase) throws {
    sources.begin()
    let window = try base.codes.window(.range(0..<base.rows), in: sources)
    let (words, stride) = (base.rows / 8, base.columns / 2)
    try window.bytes.withBuffer { codes in
      guard let source = codes.baseAddress else { return }
      // 128 codes are a cache line of the source.
      for first in Swift.stride(from: 0, to: base.columns, by: 128) {
        let count = min(128, base.columns - first)
        try append(count * words * 4) { memory in
          guard let target = memory.baseAddress else { return }
          // Words inside, for the same reason as above.
          for column in Swift.stride(from: first, to: first + count, by: 16) {
            for word in 0..<words {
              let from = source + word * 8 * stride + column / 2
              Self.turn(
                from, stride: stride, to: target + ((column - first) * words + word) * 4,
                stride: words * 4)
            }
          }
        }
      }
    }
  }

  /// 8 × 16 nibbles as 16 words, the first eight from the low half of the rows.
  private static func turn(
    _ source: UnsafeRawPointer, stride: Int, to target: UnsafeMutableRawPointer,
    stride targetStride: Int
  ) {
    func row(_ index: Int) -> UInt64 {
      // Nibble k of a word holds output `awqOrder[k]`.
      UInt64(
        littleEndian: source.loadUnaligned(
          fromByteOffset: (index < 4 ? 2 * index : 2 * index - 7) * stride, as: UInt64.self))
    }
    var (a, b, c, d) = (row(0), row(1), row(2), row(3))
    var (e, f, g, h) = (row(4), row(5), row(6), row(7))
    func swap(_ x: inout UInt64, _ y: inout UInt64, _ shift: UInt64, _ mask: UInt64) {
      let change = (x >> shift ^ y) & mask
      y ^= change
      x ^= change << shift
    }
    let (halves, bytes): (UInt64, UInt64) = (0x0000_FFFF_0000_FFFF, 0x00FF_00FF_00FF_00FF)
    swap(&a, &e, 16, halves)
    swap(&b, &f, 16, halves)
    swap(&c, &g, 16, halves)
    swap(&d, &h, 16, halves)
    swap(&a, &c, 8, bytes)
    swap(&b, &d, 8, bytes)
    swap(&e, &g, 8, bytes)
    swap(&f, &h, 8, bytes)
    let nibbles: UInt64 = 0x0F0F_0F0F_0F0F_0F0F
    swap(&a, &b, 4, nibbles)
    swap(&c, &d, 4, nibbles)
    swap(&e, &f, 4, nibbles)
    swap(&g, &h, 4, nibbles)
    func put(_ value: UInt64, _ index: Int) {
      target.storeBytes(
        of: UInt32(truncatingIfNeeded: value).littleEndian,
        toByteOffset: index * targetStride, as: UInt32.self)
      target.storeBytes(
        of: UInt32(truncatingIfNeeded: value >> 32).littleEndian,
        toByteOffset: (index + 8) * targetStride, as: UInt32.self)
    }
    put(a, 0)
    put(b, 1)
    put(c, 2)
    put(d, 3)
    put(e, 4)
    put(f, 5)
    put(g, 6)
    put(h, 7)
  }
}
