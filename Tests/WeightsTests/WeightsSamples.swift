import Tensors
import Weights

/// Reproducible matrices for the tests.
enum Sample {
  static func matrix(_ rows: Int, _ columns: Int, seed: UInt64 = 1, scale: Float = 1)
    -> Matrix<Float>
  {
    let values = Philox(seed: seed).normals(count: rows * columns, purpose: .sampling)
    return Matrix(rows: rows, columns: columns, values: values.map { $0 * scale })
  }

  static func sums(_ original: Matrix<Float>, _ other: Matrix<Float>) -> ErrorSums {
    original.values.withUnsafeBufferPointer { a in
      other.values.withUnsafeBufferPointer { ErrorSums(original: a, approximation: $0) }
    }
  }

  static func error(_ original: Matrix<Float>, _ other: Matrix<Float>) -> Double {
    sums(original, other).relativeFrobenius
  }
}

extension IntegerBase {
  /// Every stored byte, for comparisons.
  var storedBytes: [[UInt8]] {
    [codes, scales, zeros].compactMap { $0?.bytes.array(of: UInt8.self) }
  }
}
