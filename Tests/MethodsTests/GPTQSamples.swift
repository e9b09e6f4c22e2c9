import LinearAlgebra
import Tensors

@testable import Quantization
@testable import Weights

/// Inputs with the correlations that layers have, and what they do to a weight.
enum GPTQSample {
  /// Rows of inputs: a few strong directions, noise, channels of very different loudness.
  static func inputs(rows: Int, width: Int, seed: UInt64 = 5) -> Matrix<Float> {
    var result = Sample.normals(rows, width, seed: seed)
    let factors = Sample.normals(rows, 8, seed: seed + 1)
    let loading = Sample.normals(8, width, seed: seed + 2)
    let loudness = Sample.normals(1, width, seed: seed + 3)
    for row in 0..<rows {
      for column in 0..<width {
        var value = result[row, column] * 0.5
        for k in 0..<8 { value += factors[row, k] * loading[k, column] }
        result[row, column] = value * (1 + loudness[0, column] * loudness[0, column])
      }
    }
    return result
  }

  static func gram(width: Int, rows: Int = 512, seed: UInt64 = 5) throws -> Matrix<Double> {
    try Syrk.gramInDouble(inputs(rows: rows, width: width, seed: seed))
  }

  static func scheme(
    _ bits: Int = 3, group: Int = 32, symmetric: Bool = false, clip: ClipSearch = .none
  ) throws -> IntegerScheme {
    try IntegerScheme(
      bits: bits, symmetric: symmetric, granularity: .group(group), scaleType: .f16, clip: clip)
  }

  /// tr(DHDᵀ)/tr(WHWᵀ).
  static func loss(
    _ weight: CompressedWeight, _ original: Matrix<Float>, _ gram: Matrix<Double>
  ) throws -> Double {
    try WeightedError.relative(weight.decodedBase(), to: original, gram: gram)
  }

  static let plain = GPTQOptions(order: .none, refit: false)
}

extension CompressedWeight {
  /// Codes by rows.
  var codeRows: [[UInt8]] {
    guard case .integer(let base) = base else { return [] }
    return (0..<rows).map { base.unpackedCodes(row: $0) }
  }

  var scaleBytes: [UInt8] {
    guard case .integer(let base) = base else { return [] }
    return base.scales.bytes.array(of: UInt8.self)
  }
}
