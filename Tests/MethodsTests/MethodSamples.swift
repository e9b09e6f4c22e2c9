import Tensors

@testable import Weights

/// Reproducible weights for the tests of the methods.
enum Sample {
  static let rows = 64
  static let columns = 128

  /// Noise with a decaying spectrum and two loud columns, as real layers have.
  static func matrix(seed: UInt64 = 1) -> Matrix<Float> {
    let noise = normals(rows, columns, seed: seed)
    let left = normals(rows, 6, seed: seed + 100)
    let right = normals(6, columns, seed: seed + 200)
    var result = noise
    for row in 0..<rows {
      for column in 0..<columns {
        for k in 0..<6 {
          result[row, column] += left[row, k] * right[k, column] * 2 / Float(k + 1)
        }
        if column == 17 || column == 90 { result[row, column] *= 12 }
      }
    }
    return result
  }

  static func normals(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Float> {
    Matrix(
      rows: rows, columns: columns,
      values: Philox(seed: seed).normals(count: rows * columns, purpose: .sampling))
  }

  static func scheme(
    _ bits: Int = 3, symmetric: Bool = true, scaleType: DType = .f16
  ) throws -> IntegerScheme {
    try IntegerScheme(
      bits: bits, symmetric: symmetric, granularity: .group(32), scaleType: scaleType, clip: .none)
  }

  /// ‖a − b‖ / ‖a‖.
  static func error(_ original: Matrix<Float>, _ other: Matrix<Float>) -> Double {
    original.values.withUnsafeBufferPointer { a in
      other.values.withUnsafeBufferPointer {
        ErrorSums(original: a, approximation: $0).relativeFrobenius
      }
    }
  }
}

extension CompressedWeight {
  /// Whether two weights store the very same base.
  func sharesBase(with other: CompressedWeight) -> Bool {
    guard let base, let otherBase = other.base else { return self.base == nil && other.base == nil }
    return zip(base.payloads, otherBase.payloads).allSatisfy { $0.bytes === $1.bytes }
  }

  /// The stored codes of an integer base.
  var codes: [UInt8]? {
    guard case .integer(let base) = base else { return nil }
    return base.codes.bytes.array(of: UInt8.self)
  }
}
