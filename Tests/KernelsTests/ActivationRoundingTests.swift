import Kernels
import Tensors
import Testing

/// (1) Fast and plain give the same bits, tails of every length included; (2) zeros stay zeros;
/// (3) finite rows stay finite, whatever their size; (4) an infinite value is not hidden.
@Suite struct ActivationRoundingTests {
  static let grids: [PithActivationGrid] = {
    func grid(
      _ kind: Int, levels: Float = 0, largest: Float = 0, mantissa: Int32 = 0, smallest: Float = 0,
      scale: Int = PITH_SCALE_F32, clip: Float = 1, maximum: Float = 0, step: Float = 0
    ) -> PithActivationGrid {
      PithActivationGrid(
        kind: Int32(kind), scale: Int32(scale), levels: levels, largest: largest,
        mantissa: mantissa, smallest_normal: smallest, clip: clip, maximum: maximum,
        step: step)
    }
    func e2m1(_ scale: Int, step: Float = 0) -> PithActivationGrid {
      grid(PITH_ROUND_FLOAT, largest: 6, mantissa: 1, smallest: 1, scale: scale, step: step)
    }
    return [
      grid(PITH_ROUND_SYMMETRIC, levels: 127), grid(PITH_ROUND_SYMMETRIC, levels: 7, clip: 0.9),
      grid(PITH_ROUND_SYMMETRIC, levels: 127, maximum: 0.01),
      grid(PITH_ROUND_SYMMETRIC, levels: 127, scale: PITH_SCALE_EXPONENT),
      grid(PITH_ROUND_ZERO_POINT, levels: 255), grid(PITH_ROUND_ZERO_POINT, levels: 15, clip: 0.9),
      grid(PITH_ROUND_OFFSET, levels: 3), grid(PITH_ROUND_OFFSET, levels: 255),
      grid(PITH_ROUND_FLOAT, largest: 448, mantissa: 3, smallest: 0x1p-6),
      grid(PITH_ROUND_FLOAT, largest: 57344, mantissa: 2, smallest: 0x1p-14),
      e2m1(PITH_SCALE_F32), e2m1(PITH_SCALE_EXPONENT), e2m1(PITH_SCALE_E4M3),
      grid(PITH_ROUND_SYMMETRIC, levels: 127, step: 0.013),
      grid(PITH_ROUND_FLOAT, largest: 448, mantissa: 3, smallest: 0x1p-6, step: 0.0007),
      e2m1(PITH_SCALE_E4M3, step: 0.002),
    ]
  }()

  static func random(_ count: Int, tensor: UInt32 = 0, scale: Float = 1) -> [Float] {
    Philox(seed: 11).normals(count: count, tensor: tensor, purpose: .perturbation).map {
      $0 * scale
    }
  }

  /// Rows that are ordinary, all zero, tiny, huge, of one sign, and with one outlier.
  static func rows(_ width: Int) -> [Float] {
    var x = random(width) + Array(repeating: 0, count: width)
    x +=
      random(width, tensor: 1, scale: .leastNormalMagnitude / 128)
      + random(width, tensor: 2, scale: 1e38)
    x += random(width, tensor: 3).map { abs($0) + 2 } + random(width, tensor: 4)
    x[x.count - 1] = -1000
    return x
  }

  @Test(arguments: grids.indices, [1, 15, 16, 17, 33, 64, 100])
  func rowsAsTheTwinGivesThem(_ index: Int, _ width: Int) {
    for run in [width, 16, 5] {
      var grid = Self.grids[index]
      let x = Self.rows(width)
      let count = x.count / width
      var (fast, plain) = (x, x)
      pith_round_activations(&fast, count, width, width, run, &grid)
      pith_round_activations_reference(&plain, count, width, width, run, &grid)
      #expect(fast.map(\.bitPattern) == plain.map(\.bitPattern))
      #expect(fast[width..<2 * width].allSatisfy { $0 == 0 })
      #expect(fast.allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: grids.indices) func infinityBecomesNaN(_ index: Int) {
    var grid = Self.grids[index]
    // A stored step alone does not look at the row.
    guard grid.maximum == 0, grid.step == 0 || grid.scale == PITH_SCALE_E4M3 else { return }
    var x = Self.random(40)
    x[17] = .infinity
    pith_round_activations(&x, 1, 40, 40, 40, &grid)
    #expect(x[17].isNaN)
  }

  @Test(arguments: [1, 16, 24, 50], [1, 7, 32]) func columns(_ width: Int, _ count: Int) {
    for levels: Float in [3, 15, 255] {
      var x = Self.random(width * count, tensor: 5)
      for row in 0..<count { x[row * width] = row % 2 == 0 ? 1e38 : 4 }
      if width > 1 { for row in 0..<count { x[row * width + 1] = 0.3 } }
      var (fast, plain) = (x, x)
      pith_round_columns(&fast, count, width, width, levels)
      pith_round_columns_reference(&plain, count, width, width, levels)
      #expect(fast.map(\.bitPattern) == plain.map(\.bitPattern))
      #expect(fast.allSatisfy { $0.isFinite })
      // A column of equal values keeps its value.
      if width > 1 { #expect((0..<count).allSatisfy { fast[$0 * width + 1] == 0.3 }) }
    }
  }
}
