import Tensors
import Testing

@testable import Weights

/// The numbers are the facts in the documentation of `IntegerBase.roundToNearest`.
@Suite("Weights: round to nearest")
struct RoundToNearestTests {
  static func scheme(
    _ bits: Int, symmetric: Bool = true, _ granularity: Granularity = .group(32),
    _ type: DType = .f16, clip: ClipSearch = .none
  ) throws -> IntegerScheme {
    try IntegerScheme(
      bits: bits, symmetric: symmetric, granularity: granularity, scaleType: type, clip: clip)
  }

  static func everyScheme() throws -> [IntegerScheme] {
    var result: [IntegerScheme] = []
    for bits in 2...8 {
      for symmetric in [true, false] {
        for granularity in [Granularity.tensor, .channel, .group(32), .group(24)] {
          for type in [DType.f32, .f16, .bf16] {
            result.append(try scheme(bits, symmetric: symmetric, granularity, type))
          }
        }
      }
    }
    return result
  }

  @Test("the bytes are the plain version's, for every bits, granularity, scale type")
  func reference() throws {
    for scale: Float in [1, 1e-6, 3e4] {
      let weight = Sample.matrix(7, 96, scale: scale)
      for scheme in try Self.everyScheme() {
        let found = try IntegerBase.roundToNearest(weight, scheme: scheme)
        let expected = IntegerBase.reference(weight, scheme: scheme)
        #expect(found.storedBytes == expected.storedBytes, "\(scheme) at \(scale)")
      }
    }
  }

  @Test("(1) (2) (4) codes in range, scales usable, errors within half a step inside the range")
  func halfAStep() throws {
    let weight = Sample.matrix(5, 96, seed: 4)
    for scheme in try Self.everyScheme() {
      let base = try IntegerBase.roundToNearest(weight, scheme: scheme)
      try Base.integer(base).validate(part: "base", rows: 5, columns: 96)
      let decoded = base.decoded()
      for row in 0..<5 {
        for column in 0..<96 {
          let point = base.point(row, column)
          let code = base.code(row, column)
          #expect((0...scheme.grid.topCode).contains(code))
          #expect(decoded[row, column] == Float(code - point.zero) * point.scale)
          let low = Float(-point.zero) * point.scale
          let high = Float(scheme.grid.topCode - point.zero) * point.scale
          let x = weight[row, column]
          if x >= low, x <= high {
            // x / s itself is rounded once, which moves ties by that much.
            #expect(abs(x - decoded[row, column]) <= point.scale / 2 + abs(x) * 1.2e-7)
          }
        }
      }
    }
  }

  @Test("int4's symmetric scale is amax / 7.5 and its values run from −8 to 7 scales")
  func convention() throws {
    var weight = Matrix<Float>(rows: 1, columns: 32, repeating: 0)
    weight[0, 0] = -15
    weight[0, 1] = 15
    let base = try IntegerBase.roundToNearest(weight, scheme: try Self.scheme(4))
    #expect(base.point(0, 0) == IntegerGridPoint(scale: 2, zero: 8))
    #expect(base.code(0, 0) == 0 && base.code(0, 1) == 15)
    #expect(base.decoded()[0, 0] == -16 && base.decoded()[0, 1] == 14)
  }

  @Test("(3) zeros decode to exactly zero; all-zero groups too, on a normal scale")
  func zeros() throws {
    for scheme in try Self.everyScheme() {
      var weight = Sample.matrix(4, 96)
      for column in 0..<48 { weight[1, column * 2] = 0 }
      for column in 0..<96 { weight[2, column] = 0 }
      let base = try IntegerBase.roundToNearest(weight, scheme: scheme)
      let decoded = base.decoded()
      for column in 0..<48 { #expect(decoded[1, column * 2] == 0) }
      for column in 0..<96 { #expect(decoded[2, column] == 0) }
      #expect(base.point(2, 0).scale.isNormal)
      let nothing = Matrix<Float>(rows: 4, columns: 96, repeating: 0)
      let empty = try IntegerBase.roundToNearest(nothing, scheme: scheme)
      #expect(empty.decoded() == nothing)
      #expect(empty.point(0, 0).scale == 1)
    }
  }

  @Test("(5) codes already on a grid stay, when the range gives the scale back")
  func idempotence() throws {
    for symmetric in [true, false] {
      for bits in 2...8 {
        let scheme = try Self.scheme(bits, symmetric: symmetric, .group(32), .f32)
        let first = try IntegerBase.roundToNearest(Sample.matrix(4, 96), scheme: scheme)
        let encoder = try IntegerEncoder(
          try Self.scheme(bits, symmetric: symmetric, .tensor, .f32), columns: 96,
          point: first.point(0, 0))
        // Values on one grid, encoded with that grid's scale, give their codes back.
        var row = first.decoded(rows: 0..<1)
        for column in 32..<96 { row[0, column] = row[0, column - 32] }
        let second = try encoder.encode(row).base
        #expect((0..<32).allSatisfy { second.code(0, $0) == first.code(0, $0) })
        #expect(second.decoded() == row)
      }
    }
  }

  @Test("(6) permuting rows permutes the result")
  func permutation() throws {
    let weight = Sample.matrix(6, 96)
    let order = [3, 1, 5, 0, 2, 4]
    let shuffled = Matrix<Float>(
      rows: 6, columns: 96, values: order.flatMap { weight.rows($0..<$0 + 1).values })
    let scheme = try Self.scheme(3, symmetric: false)
    let plain = try IntegerBase.roundToNearest(weight, scheme: scheme).decoded()
    let other = try IntegerBase.roundToNearest(shuffled, scheme: scheme).decoded()
    for (row, source) in order.enumerated() {
      #expect(other.rows(row..<row + 1) == plain.rows(source..<source + 1))
    }
  }

  @Test("(7) a power of two moves the scales and keeps the codes")
  func powersOfTwo() throws {
    let weight = Sample.matrix(4, 96)
    for symmetric in [true, false] {
      let scheme = try Self.scheme(4, symmetric: symmetric, .group(32), .f32, clip: .meanSquare())
      let plain = try IntegerBase.roundToNearest(weight, scheme: scheme)
      let scaled = Matrix(rows: 4, columns: 96, values: weight.values.map { $0 * 64 })
      let other = try IntegerBase.roundToNearest(scaled, scheme: scheme)
      #expect(other.codes.bytes.array(of: UInt8.self) == plain.codes.bytes.array(of: UInt8.self))
      #expect(other.scales.floats() == plain.scales.floats().map { $0 * 64 })
    }
  }

  @Test("(8) a clip search is never worse than the full range, and better where it can be")
  func clipping() throws {
    let weight = Sample.matrix(32, 256, seed: 8)
    for granularity in [Granularity.tensor, .channel, .group(64)] {
      for symmetric in [true, false] {
        for bits in [2, 3, 4, 8] {
          let plain = try IntegerBase.rounded(
            weight, scheme: try Self.scheme(bits, symmetric: symmetric, granularity))
          let clipped = try IntegerBase.rounded(
            weight,
            scheme: try Self.scheme(bits, symmetric: symmetric, granularity, clip: .meanSquare()))
          #expect(clipped.errors.squaredError <= plain.errors.squaredError)
          if bits <= 3 {
            #expect(clipped.errors.squaredError < 0.85 * plain.errors.squaredError)
          }
        }
      }
    }
  }

  @Test("(9) masked entries do not widen the range")
  func masked() throws {
    var weight = Sample.matrix(4, 64)
    weight[2, 5] = 1000
    let mask = Mask(rows: 4, columns: 64) { !($0 == 2 && $1 == 5) }
    let scheme = try Self.scheme(4)
    let masked = try IntegerBase.roundToNearest(weight, scheme: scheme, mask: mask)
    let plain = try IntegerBase.roundToNearest(weight, scheme: scheme)
    #expect(plain.point(2, 5).scale > 100)
    #expect(masked.point(2, 5).scale < 1)
    #expect(masked.decoded()[2, 5] == 0)
  }

  @Test("(10) two workers give the bytes and the sums of one")
  func workers() throws {
    let weight = Sample.matrix(150, 256)
    let scheme = try Self.scheme(4, symmetric: false, clip: .meanSquare(steps: 10, maxShrink: 0.3))
    let one = try IntegerBase.rounded(weight, scheme: scheme)
    let two = try IntegerBase.rounded(weight, scheme: scheme, pool: WorkerPool(workers: 2))
    #expect(one.base.storedBytes == two.base.storedBytes)
    #expect(one.errors == two.errors)
  }

  @Test("awkward values: one outlier, limits of f16, subnormals, a single element")
  func awkward() throws {
    for type in [DType.f32, .f16, .bf16] {
      for bits in 2...8 {
        for symmetric in [true, false] {
          let scheme = try Self.scheme(bits, symmetric: symmetric, .channel, type)
          for values: [Float] in [
            [1e4, 0, 1, -1], [65504, -65504, 3, 0], [1e30, -3e38, 3.4e38, 0],
            [Float(bitPattern: 71362), 0, -Float(bitPattern: 99), -0.0], [5], [-5], [0],
          ] {
            let weight = Matrix(rows: 1, columns: values.count, values: values)
            let base = try IntegerBase.roundToNearest(weight, scheme: scheme)
            try Base.integer(base).validate(part: "base", rows: 1, columns: values.count)
            #expect(base.decoded().values.allSatisfy { $0.isFinite })
          }
        }
      }
    }
  }

  @Test("empty weights encode to nothing")
  func empty() throws {
    for (rows, columns) in [(0, 32), (3, 0), (0, 0)] {
      let weight = Matrix<Float>(rows: rows, columns: columns, repeating: 0)
      for granularity in [Granularity.channel, .tensor, .group(32)] {
        let base = try IntegerBase.roundToNearest(
          weight, scheme: try Self.scheme(4, symmetric: false, granularity))
        #expect(base.decoded() == weight)
      }
    }
  }

  @Test("NaN and infinity are refused with their place")
  func notFinite() throws {
    for bad in [Float.nan, .infinity] {
      var weight = Sample.matrix(70, 64)
      weight[66, 9] = bad
      #expect(throws: WeightsError.notFinite(row: 66, column: 9)) {
        try IntegerBase.roundToNearest(weight, scheme: try Self.scheme(4))
      }
      let encoder = try IntegerEncoder(try Self.scheme(4), columns: 64)
      #expect(throws: WeightsError.notFinite(row: 66, column: 9)) { try encoder.encode(weight) }
    }
  }

  @Test("Gaussian errors are the published ones to 2 %")
  func gaussian() throws {
    let weight = Sample.matrix(4096, 256, seed: 21)
    for (bits, symmetric, expected) in [
      (4, false, 0.008293), (4, true, 0.010560), (3, false, 0.038064), (2, false, 0.2087),
      (8, false, 2.9e-5),
    ] {
      let scheme = try Self.scheme(bits, symmetric: symmetric, .group(64), .f32)
      let errors = try IntegerBase.rounded(weight, scheme: scheme).errors
      #expect(abs(errors.meanSquaredError / expected - 1) < 0.02, "\(bits) \(symmetric)")
    }
  }
}
