import Tensors
import Testing

@testable import Weights

/// Errors on normally distributed numbers, against figures measured by other programs
/// (bitsandbytes' tests, NumPy; the figures are for N(0, 1)).
@Suite("Weights: errors of formats on N(0, 1)")
struct FormatAnchorTests {
  static let weight = Sample.matrix(2048, 512, seed: 77)

  static func errors(
    _ format: NumberFormat, _ group: Int, _ scales: ScaleFormat = .f32, rule: ScaleRule? = nil,
    clip: ClipSearch = .none
  ) throws -> (square: Double, absolute: Double) {
    let grid = try TableGrid(format: format, granularity: .group(group), scaleFormat: scales)
    let base = try TableBase.roundToNearest(
      weight, scheme: TableScheme(grid, rule: rule, clip: clip))
    var (square, absolute) = (0.0, 0.0)
    for (a, b) in zip(weight.values, base.decoded().values) {
      square += Double(a - b) * Double(a - b)
      absolute += Double(abs(a - b))
    }
    let count = Double(weight.values.count)
    return (square / count, absolute / count)
  }

  static func isNear(_ found: Double, _ expected: Double) -> Bool {
    abs(found - expected) < 0.02 * expected
  }

  @Test func codebooks() throws {
    let nf4 = try Self.errors(.normalFloat4, 64)
    #expect(Self.isNear(nf4.square, 0.008452) && Self.isNear(nf4.absolute, 0.0727))
    let fp4 = try Self.errors(.bitsandbytesFloat4, 64)
    #expect(Self.isNear(fp4.square, 0.014868) && Self.isNear(fp4.absolute, 0.0965))
    let e2m1 = try Self.errors(.minifloat(.e2m1), 64)
    #expect(Self.isNear(e2m1.square, 0.011170) && Self.isNear(e2m1.absolute, 0.08026))
    // Codes of scales in 8 bits cost next to nothing.
    let double = try Self.errors(.normalFloat4, 64, .dynamic8)
    #expect(double.square < 1.01 * nf4.square && double.square != nf4.square)
  }

  @Test(arguments: [
    (ScaleRule.floor, 0.013215), (.roundUp, 0.012514), (.absmax, 0.013329),
  ])
  func powersOfTwo(_ rule: ScaleRule, _ expected: Double) throws {
    let found = try Self.errors(.minifloat(.e2m1), 32, .e8m0, rule: rule).square
    #expect(Self.isNear(found, expected))
  }

  @Test func twoLevels() throws {
    let found = try Self.errors(.minifloat(.e2m1), 16, .e4m3).square
    #expect(Self.isNear(found, 0.009042))
  }

  @Test func powerGrids() throws {
    // Published figures round in the powered domain; rounding to the nearest value can only gain.
    let power = try Self.errors(.power(bits: 4, exponent: 0.75), 512)
    #expect(power.square < 0.014528 * 1.02)
    let uniform = try Self.errors(.power(bits: 4, exponent: 1), 512)
    #expect(Self.isNear(uniform.square, 0.018135))
  }

  @Test func scalesAreWhatTheyClaim() throws {
    let rows = Matrix<Float>(
      rows: 64, columns: 512, values: Array(Self.weight.values[0..<64 * 512]))
    func base(_ scales: ScaleFormat) throws -> TableBase {
      try TableBase.roundToNearest(
        rows,
        scheme: TableScheme(
          TableGrid(format: .minifloat(.e2m1), granularity: .group(32), scaleFormat: scales),
          clip: .none))
    }
    let exact = try base(.f32).scaleValues()
    for (stored, scale) in zip(try base(.e8m0).scaleValues(), exact) {
      #expect(stored.significand == 1 && stored >= scale && stored < 2 * scale)
    }
    let ratio = try base(.ratio).scaleValues()
    for row in 0..<64 {
      let line = ratio[row * 16..<row * 16 + 16]
      let largest = exact[row * 16..<row * 16 + 16].max() ?? 0
      #expect(line.max() == largest)
      for (index, stored) in line.enumerated() {
        let scale = exact[row * 16 + index]
        #expect((largest / stored).significand == 1 && stored <= scale && scale < 2 * stored)
      }
    }
    for (stored, scale) in zip(try base(.e4m3).scaleValues(), exact) {
      #expect(abs(stored - scale) <= scale / 16)
    }
    for (stored, scale) in zip(try base(.dynamic8).scaleValues(), exact) {
      #expect(abs(stored - scale) < 0.02)
    }
    // Half a bit a weight becomes 0.127.
    let double = try TableGrid(
      format: .normalFloat4, granularity: .group(64), scaleFormat: .dynamic8)
    let bits = Double(double.storedBytes(rows: 4096, columns: 4096)) * 8 / (4096 * 4096)
    #expect(abs(bits - 4.127) < 0.0005)
  }
}
