import Kernels
import Tensors
import Testing

/// (1) Packing gives the twin's bits, odd ends and tails included; (2) products are the twin's to
/// f32's rounding of the sum; (3) the same bits however rows are shared out; (4) without the
/// instructions the twins stand in.
@Suite("Products through bf16 pairs")
struct HalfProductTests {
  static let shapes = [
    (1, 1, 1), (2, 16, 16), (17, 33, 5), (40, 31, 24), (64, 1100, 33), (1100, 50, 40),
  ]

  static func packed(
    _ count: Int, _ pack: (UnsafeMutablePointer<UInt32>) -> Void
  ) -> [UInt32] {
    // Marked, so that a word that was left out shows.
    var words = [UInt32](repeating: 0xDEAD_BEEF, count: count)
    words.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { pack(base) } }
    return words
  }

  @Test(arguments: shapes)
  func packing(_ rows: Int, _ columns: Int, _ width: Int) {
    var matrix = Sample.normals(rows * columns)
    for (index, value) in Sample.awkward.enumerated() where index < matrix.count {
      matrix[matrix.count - 1 - index] = value
    }
    let (across, down) = ((columns + 1) / 2, (rows + 1) / 2)
    let panels = (columns + 15) / 16 * 16
    func both(
      _ pack: (UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> Double
    ) -> (lying: [UInt32], panels: [UInt32], sum: Double) {
      var sum = 0.0
      var second: [UInt32] = []
      let first = Self.packed(rows * across) { lying in
        second = Self.packed(panels * down) { sum = pack(lying, $0) }
      }
      return (first, second, sum)
    }
    let plain = both { pith_bf16_pack_reference(matrix, rows, columns, $0, $1) }
    let block = Self.packed(down * panels) {
      pith_bf16_block_reference(matrix, rows, columns, panels, $0)
    }
    forEachTarget { target in
      let fast = both { pith_bf16_pack(matrix, rows, columns, $0, $1) }
      #expect(fast.lying == plain.lying && fast.panels == plain.panels, "\(target)")
      #expect(
        block
          == Self.packed(down * panels) { pith_bf16_block(matrix, rows, columns, panels, $0) },
        "\(target)")
      // The awkward numbers leave f32's range, those of a shape too small for them do not.
      #expect(
        fast.sum == plain.sum || abs(fast.sum - plain.sum) <= 1e-5 * plain.sum, "\(target)")
    }
    // The twin itself: a pair's halves are the numbers to 8 bits.
    for row in 0..<rows {
      for column in 0..<columns {
        let word = plain.lying[row * across + column / 2] >> (column % 2 * 16) & 0xFFFF
        let value = matrix[row * columns + column]
        let half = Float(bitPattern: word << 16)
        #expect(abs(half - value) <= abs(value) * 0x1p-8 + .leastNormalMagnitude)
      }
    }
  }

  @Test(arguments: shapes)
  func products(_ rows: Int, _ columns: Int, _ width: Int) {
    let matrix = Sample.normals(rows * columns)
    let (across, down) = ((columns + 1) / 2, (rows + 1) / 2)
    let padded = (width + 15) / 16 * 16
    var turned: [UInt32] = []
    var sum = 0.0
    let left = Self.packed(rows * across) { lying in
      turned = Self.packed((columns + 15) / 16 * 16 * down) {
        sum = pith_bf16_pack(matrix, rows, columns, lying, $0)
      }
    }
    let squares = matrix.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(sum - squares) <= 1e-5 * squares)
    for (words, steps, count, depth) in [
      (left, (16 * across, across, 1), rows, across), (turned, (16 * down, 1, 16), columns, down),
    ] {
      let length = depth * 2
      let x = Sample.normals(length * width, seed: 2)
      let block = Self.packed(depth * padded) { pith_bf16_block(x, length, width, padded, $0) }
      func product(
        _ run: (PithPairs, UnsafeMutablePointer<Float>) -> Void
      ) -> [Float] {
        var result = [Float](repeating: .nan, count: count * width)
        words.withUnsafeBufferPointer { words in
          let operand = PithPairs(
            pairs: words.baseAddress, panel_step: steps.0, row_step: steps.1, pair_step: steps.2)
          result.withUnsafeMutableBufferPointer { if let to = $0.baseAddress { run(operand, to) } }
        }
        return result
      }
      let plain = product {
        pith_bf16_multiply_reference($0, 0, count, depth, block, padded, width, $1, width)
      }
      forEachTarget { target in
        let fast = product {
          pith_bf16_multiply($0, 0, count, depth, block, padded, width, $1, width)
        }
        let bound = 1e-6 * Float(length)
        #expect(
          zip(fast, plain).allSatisfy { abs($0 - $1) <= bound }, "\(target) \(count) × \(width)")
        let pieces = product { operand, to in
          for first in stride(from: 0, to: count, by: 16) {
            pith_bf16_multiply(
              operand, first, min(16, count - first), depth, block, padded, width,
              to + first * width, width)
          }
        }
        #expect(pieces == fast, "\(target)")
      }
    }
  }
}
