import LinearAlgebra
import Weights

/// What can make a calibrated quantization impossible.
public enum QuantizationError: Error, Hashable, Sendable {
  /// A Gram matrix of another width than the weight's inputs.
  case statisticsMismatch(rows: Int, columns: Int, gram: [Int])
  /// A NaN or an infinity in the Gram matrix.
  case statisticsNotFinite(row: Int, column: Int)
  /// A diagonal entry of the Gram matrix below zero: no sum of squares.
  case statisticsNegative(index: Int, value: Double)
  case optionOutOfRange(name: String, value: String, allowed: String)
  /// A base that scales cannot be refitted for: it holds plain numbers, or none.
  case notQuantized(operation: String)
  /// The updated weights left the range of the arithmetic.
  case overflow(operation: String)
  case weights(WeightsError)
  case linearAlgebra(LinearAlgebraError)
}

extension QuantizationError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .statisticsMismatch(let rows, let columns, let gram):
      "the weight is \(rows) × \(columns), its statistics \(gram.map(String.init).joined(separator: " × ")): "
        + "expected \(columns) × \(columns); were they gathered on another model?"
    case .statisticsNotFinite(let row, let column):
      "the Gram matrix is not finite at (\(row), \(column)); "
        + "gather the statistics again and look for activations that overflow"
    case .statisticsNegative(let index, let value):
      "the Gram matrix has \(value) on its diagonal at \(index); a sum of squares is at least 0: "
        + "the statistics are damaged"
    case .optionOutOfRange(let name, let value, let allowed):
      "\(name) is \(value); it must be \(allowed)"
    case .notQuantized(let operation):
      "\(operation) needs a base of integer codes; quantize first"
    case .overflow(let operation):
      "\(operation): the updated weights overflow; use more damping, or look for weights beyond 1e30"
    case .weights(let error): "\(error)"
    case .linearAlgebra(let error): "\(error)"
    }
  }
}
