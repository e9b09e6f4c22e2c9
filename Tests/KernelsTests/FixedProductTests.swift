import Kernels
import Tensors
import Testing

/// (1) Packing and products give the twins' bits on every instruction set; (2) a product is off by
/// what half a step of each number gives, far less than 8 bits would; (3) lanes of any size and of zeros;
/// (4) no sum leaves 32 bits; (5) what is not finite stays so.
@Suite("Products through fixed point")
struct FixedProductTests {
  private struct Packed: Equatable {
    var pairs: [UInt32]
    var scales: [Float]

    /// A left operand where `isRight` does not say otherwise.
    init(
      _ matrix: [Float], rows: Int, lanes: Int, stride: Int, isRight: Bool = false,
      isTwin: Bool = false
    ) {
      let side = Int(isRight ? PITH_FIXED_STRIP : PITH_FIXED_PANEL)
      let cells = pith_fixed_blocks(rows) * pith_fixed_strips(lanes)
      // Marked, so that a word that was left out shows.
      var pairs = [UInt32](
        repeating: 0xDEAD_BEEF, count: cells * Int(PITH_FIXED_BLOCK * PITH_FIXED_STRIP / 2))
      var scales = [Float](repeating: -1, count: cells * Int(PITH_FIXED_STRIP))
      if isTwin {
        pith_fixed_pack_reference(matrix, stride, rows, lanes, side, &pairs, &scales)
      } else {
        pith_fixed_pack(matrix, stride, rows, lanes, side, &pairs, &scales)
      }
      (self.pairs, self.scales) = (pairs, scales)
    }

    func product(_ other: Packed, _ lanes: (Int, Int), rows: Int, isTwin: Bool) -> [Float] {
      let stride = lanes.1 + 3
      var result = [Float](repeating: 7, count: lanes.0 * stride)
      pairs.withUnsafeBufferPointer { pairs in
        scales.withUnsafeBufferPointer { scales in
          other.pairs.withUnsafeBufferPointer { otherPairs in
            other.scales.withUnsafeBufferPointer { otherScales in
              let left = PithFixed(
                pairs: pairs.baseAddress, scales: scales.baseAddress, lanes: lanes.0)
              let right = PithFixed(
                pairs: otherPairs.baseAddress, scales: otherScales.baseAddress, lanes: lanes.1)
              let multiply = isTwin ? pith_fixed_multiply_reference : pith_fixed_multiply
              multiply(left, right, pith_fixed_blocks(rows), &result, stride)
            }
          }
        }
      }
      return result
    }
  }

  @Test(
    "the twins' bits, and close to f64",
    arguments: [
      (1, 1, 32), (2, 8, 32), (127, 33, 64), (129, 70, 96), (300, 45, 32), (512, 16, 32),
    ])
  func products(_ rows: Int, _ lanes: Int, _ others: Int) {
    let stride = lanes + 5
    var left = Sample.normals(rows * stride, seed: 2)
    // Columns of a factor are not all as loud.
    for row in 0..<rows { for lane in 0..<lanes { left[row * stride + lane] *= Float(1 + lane) } }
    let right = Sample.normals(rows * others, seed: 3, scale: 1e-3)
    let plain = Packed(left, rows: rows, lanes: lanes, stride: stride, isTwin: true)
    let beside = Packed(
      right, rows: rows, lanes: others, stride: others, isRight: true, isTwin: true)
    let expected = plain.product(beside, (lanes, others), rows: rows, isTwin: true)
    forEachTarget { target in
      #expect(plain == Packed(left, rows: rows, lanes: lanes, stride: stride), "\(target)")
      #expect(
        beside == Packed(right, rows: rows, lanes: others, stride: others, isRight: true),
        "\(target)")
      #expect(
        expected == plain.product(beside, (lanes, others), rows: rows, isTwin: false),
        "\(target)")
    }
    var (error, size, coarse) = (0.0, 0.0, 0.0)
    for lane in 0..<lanes {
      for other in 0..<others {
        var (exact, eight) = (0.0, 0.0)
        for row in 0..<rows {
          let (a, b) = (left[row * stride + lane], right[row * others + other])
          exact += Double(a) * Double(b)
          eight += Double(Self.eightBits(a)) * Double(Self.eightBits(b))
        }
        let found = Double(expected[lane * (others + 3) + other])
        error += (found - exact) * (found - exact)
        coarse += (eight - exact) * (eight - exact)
        size += exact * exact
      }
    }
    #expect(error <= 4e-8 * size)
    #expect(rows < 100 || error < coarse / 50)
    // What lies beside the result stays.
    #expect(expected[others] == 7)
  }

  private static func eightBits(_ value: Float) -> Float {
    Float(bitPattern: (value.bitPattern &+ 0x7FFF &+ (value.bitPattern >> 16 & 1)) & 0xFFFF_0000)
  }

  @Test("the largest sums there are, and blocks of zeros")
  func extremes() {
    let rows = 256
    var left = [Float](repeating: 1, count: rows * 4)
    for row in 0..<rows {
      left[row * 4 + 1] = row < 128 ? 0 : -2
      // One number alone, and numbers below the normal range.
      left[row * 4 + 2] = row == 3 ? 5 : 0
      left[row * 4 + 3] = Float(bitPattern: 7136)
    }
    let right = [Float](repeating: 3e10, count: rows * 32)
    let found = Packed(left, rows: rows, lanes: 4, stride: 4).product(
      Packed(right, rows: rows, lanes: 32, stride: 32, isRight: true), (4, 32), rows: rows,
      isTwin: false)
    for (lane, expected) in [256 * 3e10, -256 * 3e10, 15e10, 0].enumerated() {
      #expect(abs(Double(found[lane * 35]) - expected) <= 2.6e-4 * abs(expected))
    }
  }

  @Test("what is not finite shows", arguments: [Float.nan, .infinity, -.infinity])
  func notFinite(_ value: Float) {
    var left = Sample.normals(40 * 3)
    left[17 * 3 + 1] = value
    let right = Sample.normals(40 * 32, seed: 4)
    let plain = Packed(left, rows: 40, lanes: 3, stride: 3, isTwin: true)
    let other = Packed(right, rows: 40, lanes: 32, stride: 32, isRight: true)
    forEachTarget { target in
      let packed = Packed(left, rows: 40, lanes: 3, stride: 3)
      #expect(packed.scales[1].isNaN && plain.scales[1].isNaN && packed.pairs == plain.pairs)
      let found = packed.product(other, (3, 32), rows: 40, isTwin: false)
      #expect(!found[35].isFinite && found[0].isFinite && found[70].isFinite, "\(target)")
    }
  }
}
