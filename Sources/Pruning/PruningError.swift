import LinearAlgebra
import Weights

/// What can make a calibrated pruning impossible.
public enum PruningError: Error, Hashable, Sendable {
  /// Statistics of another width than the weight's inputs.
  case statisticsMismatch(rows: Int, columns: Int, found: [Int])
  /// A NaN or an infinity in the statistics.
  case statisticsNotFinite(index: Int)
  /// A sum of squares below zero.
  case statisticsNegative(index: Int, value: Double)
  case optionOutOfRange(name: String, value: String, allowed: String)
  /// More inputs than a method of cubic cost per output is meant for.
  case tooWide(operation: String, columns: Int, limit: Int)
  /// The updated weights left the range of the arithmetic.
  case overflow(operation: String)
  case weights(WeightsError)
  case linearAlgebra(LinearAlgebraError)
}

extension PruningError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .statisticsMismatch(let rows, let columns, let found):
      "the weight is \(rows) × \(columns), its statistics "
        + found.map(String.init).joined(separator: " × ")
        + ": expected a width of \(columns); were they gathered on another model?"
    case .statisticsNotFinite(let index):
      "the statistics are not finite at element \(index); "
        + "gather them again and look for activations that overflow"
    case .statisticsNegative(let index, let value):
      "the statistics hold \(value) as the sum of squares of input \(index), which is at least 0: "
        + "they are damaged"
    case .optionOutOfRange(let name, let value, let allowed):
      "\(name) is \(value); it must be \(allowed)"
    case .tooWide(let operation, let columns, let limit):
      "\(operation) is meant for at most \(limit) inputs, and there are \(columns); "
        + "use sparsegpt with a refit"
    case .overflow(let operation):
      "\(operation): the updated weights overflow; use more damping, or look for weights beyond 1e30"
    case .weights(let error): "\(error)"
    case .linearAlgebra(let error): "\(error)"
    }
  }
}
