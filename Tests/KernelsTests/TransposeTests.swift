import Kernels
import Testing

@Suite("Kernels: matrices turned about")
struct TransposeTests {
  private func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 * 2_654_435_761) >> 7) }
  }

  /// Runs a kernel and its twin on memory that begins at an odd address and goes on behind what is
  /// to be written.
  private func compare(
    _ count: Int, _ what: String, _ fast: (UnsafeMutableRawPointer) -> Void,
    _ plain: (UnsafeMutableRawPointer) -> Void
  ) throws {
    func run(_ body: (UnsafeMutableRawPointer) -> Void) throws -> [UInt8] {
      var target = [UInt8](repeating: 0xAB, count: count + 9)
      try target.withUnsafeMutableBytes { body(try #require($0.baseAddress) + 1) }
      return target
    }
    #expect(try run(fast) == run(plain), "\(what)")
  }

  @Test("words equal the plain version", arguments: [1, 15, 16, 64, 83], [1, 4, 16, 37])
  func words(_ rows: Int, _ columns: Int) throws {
    let stride = columns + 3
    let source = bytes(rows * stride * 4)
    try forEachTarget { target in
      try compare(columns * (rows + 2) * 4, target) {
        pith_transpose_words(source, stride, rows, columns, $0, rows + 2)
      } _: {
        pith_transpose_words_reference(source, stride, rows, columns, $0, rows + 2)
      }
    }
  }

  @Test(
    "nibbles equal the plain version", arguments: [8, 72, 512, 1048], [1, 31, 32, 128, 224, 290])
  func nibbles(_ rows: Int, _ columns: Int) throws {
    let stride = (columns + 1) / 2 + 5
    let source = bytes(rows * stride)
    try forEachTarget { target in
      try compare(rows * columns / 2, target) {
        pith_interleave_nibbles(source, stride, rows, columns, $0)
      } _: {
        pith_interleave_nibbles_reference(source, stride, rows, columns, $0)
      }
    }
  }
}
