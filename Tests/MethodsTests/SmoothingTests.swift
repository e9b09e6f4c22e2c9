import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite struct SmoothingTests {
  private let hostile: [Float] = [0, 1e-30, 1, 1e30, 65504, 0.5, 3e-8, 1e38]

  @Test(arguments: [0, 0.3, 0.5, 1]) func smoothQuantStaysFinite(_ alpha: Double) throws {
    let scale = try SmoothQuant.scale(
      maxima: hostile, columnMaxima: hostile.reversed(), alpha: alpha)
    #expect(scale.allSatisfy { $0.isFinite && $0 >= 0x1p-20 && $0 <= 0x1p20 })
    #expect(scale[0] == 1, "a dead channel is left alone")
    let dead = try SmoothQuant.scale(
      maxima: [2, 0], columnMaxima: [0, 3], alpha: alpha)
    #expect(dead == [1, 1])
  }

  @Test func smoothQuantSharesLoudness() throws {
    let maxima: [Float] = [8, 0.5, 2]
    let columns: [Float] = [0.25, 4, 1]
    let all = try SmoothQuant.scale(maxima: maxima, columnMaxima: columns, alpha: 1)
    #expect(zip(maxima, all).allSatisfy { abs($0 / $1 - 1) < 1e-6 })
    let none = try SmoothQuant.scale(maxima: maxima, columnMaxima: columns, alpha: 0)
    #expect(zip(columns, none).allSatisfy { abs($0 * $1 - 1) < 1e-6 })
    let half = try SmoothQuant.scale(maxima: maxima, columnMaxima: columns, alpha: 0.5)
    #expect(zip(zip(maxima, columns), half).allSatisfy { abs($0.0 / $1 - $0.1 * $1) < 1e-5 })
  }

  @Test func badMaximaAreNamed() {
    for bad in [Float.nan, .infinity, -1] {
      #expect(throws: QuantizationError.self) {
        try SmoothQuant.scale(maxima: [1, bad], columnMaxima: [1, 1], alpha: 0.5)
      }
      #expect(throws: QuantizationError.self) { try OutlierTune.scale(maxima: [bad]) }
    }
    #expect(throws: QuantizationError.self) {
      try SmoothQuant.scale(maxima: [1], columnMaxima: [1], alpha: 1.5)
    }
  }

  @Test func outlierTuneMovesEverything() throws {
    let scale = try OutlierTune.scale(maxima: hostile)
    #expect(scale.allSatisfy { $0.isFinite && $0 > 0 })
    #expect(scale[0] == 1 && scale[2] == 1 && scale[5] == 0.5)
    #expect(OutlierTune.shift(sums: [4, -2], rows: 2) == [2, -1])
    #expect(OutlierTune.shift(sums: [4], rows: 0) == [0])
  }

  /// Inputs with a few loud channels, as activations have them, with their Gram matrix and means.
  private func activations(width: Int) throws -> (gram: Matrix<Double>, means: [Float]) {
    var inputs = GPTQSample.inputs(rows: 512, width: width)
    for row in 0..<inputs.rows {
      for column in stride(from: 5, to: width, by: 31) { inputs[row, column] *= 12 }
    }
    var means = [Float](repeating: 0, count: width)
    for row in 0..<inputs.rows {
      for column in 0..<width { means[column] += abs(inputs[row, column]) / 512 }
    }
    return (try Syrk.gramInDouble(inputs), means)
  }

  @Test(arguments: [(2, 0.99), (3, 0.9), (4, 0.8)])
  func awqLosesLessThanRounding(bits: Int, share: Double) throws {
    let weight = Sample.normals(96, 128, seed: 4)
    let (gram, means) = try activations(width: 128)
    let scheme = try GPTQSample.scheme(bits, group: 32, symmetric: true, clip: .meanSquare())
    let choice = try AWQ.search(
      activations: means, gram: gram, readers: [weight], reach: 32
    ) { try IntegerBase.roundToNearest($1, scheme: scheme).decoded() }
    #expect(choice.error < share * choice.errorBefore)
    // What was found is what scaling and rounding then give.
    let scaled = try ChannelScaling.apply(.dense(weight), scale: choice.scale)
    let result = try RoundToNearest.quantize(scaled, scheme: scheme)
    let plain = try RoundToNearest.quantize(.dense(weight), scheme: scheme)
    let error = try WeightedError.relative(result.decoded(), to: weight, gram: gram)
    let before = try WeightedError.relative(plain.decoded(), to: weight, gram: gram)
    #expect(abs(error - choice.error) < 1e-3 * before)
    #expect(error < share * before)
  }

  @Test func awqIsNeverWorseAndFinite() throws {
    let weight = Sample.normals(16, 64, seed: 4)
    let scheme = try GPTQSample.scheme(3, group: 32)
    func search(_ means: [Float], _ gram: Matrix<Double>) throws -> AWQ.Choice {
      try AWQ.search(activations: means, gram: gram, readers: [weight], reach: 32) {
        try IntegerBase.roundToNearest($1, scheme: scheme).decoded()
      }
    }
    // Inputs all alike: nothing to gain from their loudness.
    let flat = try search([Float](repeating: 1, count: 64), .identity(64))
    #expect(flat.error <= flat.errorBefore)
    let silent = try search(
      [Float](repeating: 0, count: 64), Matrix(rows: 64, columns: 64, repeating: 0))
    #expect(silent.scale.allSatisfy { $0 == 1 })
    var (gram, means) = try activations(width: 64)
    for column in [0, 7, 63] {
      means[column] = 0
      for other in 0..<64 {
        gram[column, other] = 0
        gram[other, column] = 0
      }
    }
    means[9] = 1e30
    let choice = try search(means, gram)
    #expect(choice.scale.allSatisfy { $0.isFinite && $0 > 0 })
    #expect(choice.error <= choice.errorBefore && choice.error.isFinite)
    #expect(throws: QuantizationError.self) { try search([.nan], gram) }
  }

  @Test(arguments: [2, 3, 4], [true, false])
  func rangesForTheOutput(bits: Int, symmetric: Bool) throws {
    let original = Sample.matrix(seed: 8)
    let weight = Sample.matrix(seed: 8)
    let (gram, _) = try activations(width: 128)
    for group in [32, 128] {
      let plain = try GPTQSample.scheme(bits, group: group, symmetric: symmetric)
      let searched = try GPTQSample.scheme(
        bits, group: group, symmetric: symmetric, clip: .meanSquare())
      let result = try WeightedRounding.quantize(.dense(weight), gram: gram, scheme: searched)
      try result.validate()
      let mse = try RoundToNearest.quantize(.dense(weight), scheme: searched)
      let whole = try RoundToNearest.quantize(.dense(weight), scheme: plain)
      func errors(_ weight: CompressedWeight) throws -> [Double] {
        let difference = WeightedError.subtract(weight.decodedBase(), from: original)
        return try (0..<difference.rows).map { row in
          try WeightedError.of(difference.rows(row..<row + 1), gram: gram)
        }
      }
      let (found, before) = (try errors(result), try errors(mse))
      #expect(zip(found, before).allSatisfy { $0 <= $1 * (1 + 1e-5) }, "no row is worse")
      let (total, reference) = (found.reduce(0, +), before.reduce(0, +))
      #expect(total < 0.95 * reference)
      #expect(try reference < errors(whole).reduce(0, +) * (bits == 4 ? 1.1 : 1))
    }
  }

  @Test func rangesWithoutStatistics() throws {
    let weight = Sample.matrix(seed: 8)
    let scheme = try GPTQSample.scheme(3, clip: .meanSquare())
    let zero = Matrix<Double>(rows: 128, columns: 128, repeating: 0)
    let result = try WeightedRounding.quantize(.dense(weight), gram: zero, scheme: scheme)
    let plain = try RoundToNearest.quantize(.dense(weight), scheme: scheme)
    #expect(result.codes == plain.codes && result.scaleBytes == plain.scaleBytes)
    #expect(throws: QuantizationError.self) {
      try WeightedRounding.quantize(
        .dense(weight), gram: .identity(64), scheme: scheme)
    }
    let pool = WorkerPool(workers: 3)
    let (gram, _) = try activations(width: 128)
    let one = try WeightedRounding.quantize(.dense(weight), gram: gram, scheme: scheme)
    let three = try WeightedRounding.quantize(
      .dense(weight), gram: gram, scheme: scheme, pool: pool)
    #expect(one.codes == three.codes && one.scaleBytes == three.scaleBytes)
  }

  @Test func turnedInputs() throws {
    let weight = Sample.matrix(seed: 2)
    let rotation = HadamardRotation(structure: .spanning(128), seed: 5)
    let turned = try InputRotation.apply(.dense(weight), rotation)
    try turned.validate()
    #expect(Sample.error(weight, turned.decoded()) < 1e-6)
    let x = Sample.normals(5, 128, seed: 6)
    let expected = CompressedWeight.dense(weight).multiplied(by: x)
    #expect(Sample.error(expected, turned.multiplied(by: x)) < 1e-5)
    // Two loud columns ruin their groups; turned they are spread over all.
    let scheme = try Sample.scheme(3)
    let plain = try RoundToNearest.quantize(.dense(weight), scheme: scheme)
    let rounded = try RoundToNearest.quantize(turned, scheme: scheme)
    let (with, without) = (
      Sample.error(weight, rounded.decoded()), Sample.error(weight, plain.decoded())
    )
    #expect(with < without)
    #expect(throws: WeightsError.self) { try InputRotation.apply(plain, rotation) }
    let encoded = rounded.encodedParts()
    let read = try CompressedWeight(decoding: encoded)
    #expect(read.decoded() == rounded.decoded())
    #expect(read.multiplied(by: x) == rounded.multiplied(by: x))
  }

  /// Weights and activations on 4 bits, a few channels 30 times louder than the others.
  @Test func rotationsHelpFourBitActivations() throws {
    let weight = Sample.normals(64, 576, seed: 3)
    var inputs = Sample.normals(64, 576, seed: 9)
    for row in 0..<64 {
      for column in [3, 200, 411] { inputs[row, column] *= 30 }
    }
    let scheme = try GPTQSample.scheme(4, group: 64, symmetric: true, clip: .meanSquare())
    let perToken = try IntegerScheme(
      bits: 4, symmetric: true, granularity: .channel, scaleType: .f32, clip: .none)
    func error(_ weight: CompressedWeight) throws -> Double {
      var seen = inputs
      weight.site?.apply(to: &seen)
      let rounded = try IntegerBase.roundToNearest(seen, scheme: perToken).decoded()
      var base = try RoundToNearest.quantize(weight, scheme: scheme)
      base.site = nil
      return Sample.error(
        CompressedWeight.dense(Sample.normals(64, 576, seed: 3)).multiplied(by: inputs),
        base.multiplied(by: rounded))
    }
    let plain = try error(.dense(weight))
    let turned = try error(
      InputRotation.apply(
        .dense(weight), HadamardRotation(structure: .spanning(576), seed: 1)))
    #expect(turned < 0.5 * plain)
    #expect(plain > 0.25)
  }
}
