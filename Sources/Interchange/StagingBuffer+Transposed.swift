import Kernels
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
    let words = base.columns * base.grid.bits / 32
    let step = Self.lines(UInt32.self)
    try window.bytes.withBuffer { codes in
      guard let source = codes.baseAddress else { return }
      for first in stride(from: 0, to: words, by: step) {
        let count = min(step, words - first)
        try append(count * base.rows * 4) { target in
          pith_transpose_words(
            source + first * 4, words, base.rows, count, target.baseAddress, base.rows)
        }
      }
    }
  }

  /// Appends a base's scales as groups × outputs in f16; a tensor's one scale for every output.
  func append(transposedScalesOf base: IntegerBase) throws {
    let groups = base.columns / base.grid.reach(columns: base.columns)
    guard base.grid.granularity != .tensor, base.scales.dtype == .f16 else {
      return try append(GPTQLayout.transposed(scales: base.unpackedScales(), rows: base.rows))
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
  /// - Parameters:
  ///   - codes: a base's codes or zero points.
  ///   - rows: a multiple of 8.
  ///   - columns: how many codes a row holds.
  func append(awq codes: Tensor, rows: Int, columns: Int) throws {
    sources.begin()
    let window = try codes.window(.range(0..<rows), in: sources)
    let lineBytes = rows / 8 * 4
    // 128 codes are a cache line of the source.
    let step = 128
    try window.bytes.withBuffer { codes in
      guard let source = codes.baseAddress else { return }
      for first in stride(from: 0, to: columns, by: step) {
        let count = min(step, columns - first)
        try append(count * lineBytes) { target in
          pith_interleave_nibbles(
            source + first / 2, PackedCodes.bytes(count: columns, bits: 4), rows, count,
            target.baseAddress)
        }
      }
    }
  }
}
