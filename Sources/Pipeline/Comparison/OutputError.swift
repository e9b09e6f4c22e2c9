import Checkpoints
import LinearAlgebra
import Tensors
import Weights

/// How far a layer's outputs lie from the original's on the calibration inputs:
/// ‖X(W − Ŵ)ᵀ‖ / ‖XWᵀ‖, from the Gram matrix G = XᵀX alone, as ‖XDᵀ‖² = tr(D G Dᵀ).
enum OutputError {
  /// Rows of D whose products with G are in memory at once.
  private static let rowsAtOnce = 512

  /// The relative error; 0 when the original's outputs are all zero and nothing is lost.
  ///
  /// - Parameters:
  ///   - gram: inputs × inputs, symmetric.
  static func relative(
    of weight: CompressedWeight, against tensor: TensorDescription, in model: any TensorSource,
    gram: Matrix<Double>
  ) throws -> Double {
    let gram = gram.converted(to: Float.self)
    let streams = weight.view.layout == .outputsFirst
    let step = streams ? rowsAtOnce : weight.rows
    var lost = 0.0
    var total = 0.0
    for first in stride(from: 0, to: weight.rows, by: max(1, step)) {
      let rows = first..<min(first + step, weight.rows)
      let values = try DenseComparison.floats(of: tensor, rows: streams ? rows : nil, in: model)
      let original =
        streams
        ? Matrix(rows: rows.count, columns: weight.columns, values: values)
        : weight.view.matrix(from: values)
      var difference = weight.decoded(rows: rows)
      for index in difference.values.indices {
        difference.values[index] = original.values[index] - difference.values[index]
      }
      lost += try energy(of: difference, gram)
      total += try energy(of: original, gram)
    }
    // Rounding can leave a zero slightly negative.
    guard total > 0 else { return lost > 0 ? .infinity : 0 }
    return (max(lost, 0) / total).squareRoot()
  }

  /// Returns tr(D G Dᵀ): the product in f32, its sums in f64.
  private static func energy(of matrix: Matrix<Float>, _ gram: Matrix<Float>) throws -> Double {
    let product = try matrix.multiplied(by: gram, pool: .serial)
    var sum = 0.0
    for row in 0..<matrix.rows {
      let range = matrix.range(ofRow: row)
      for index in range { sum += Double(product.values[index]) * Double(matrix.values[index]) }
    }
    return sum
  }
}
