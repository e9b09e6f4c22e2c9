import LinearAlgebra
import Weights

/// What can make a low-rank method impossible.
public enum LowRankError: Error, Hashable, Sendable {
  /// Statistics of another width than the weight's inputs.
  case statisticsMismatch(method: String, rows: Int, columns: Int, found: Int)
  /// A NaN or an infinity in the weighting of the inputs.
  case weightingNotFinite(method: String, index: Int)
  /// A method that weighs by calibration data was given none but zeros.
  case weightingZero(method: String)
  case rankOutOfRange(rank: Int, rows: Int, columns: Int)
  case optionOutOfRange(name: String, value: String, allowed: String)
  /// Decomposing codes: the factors would carry the quantizer's errors.
  case baseQuantized(method: String)
  case baseMissing(method: String)
  /// Factors that do not fit each other or the weight.
  case factorsDisagree(what: String, expected: [Int], found: [Int])
  case weights(WeightsError)
  case linearAlgebra(LinearAlgebraError)
}

extension LowRankError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .statisticsMismatch(let method, let rows, let columns, let found):
      "\(method): the weight is \(rows) × \(columns), its statistics have \(found) inputs: expected "
        + "\(columns); were they gathered on another model?"
    case .weightingNotFinite(let method, let index):
      "\(method): the weighting of the inputs is NaN or infinite at element \(index); gather the "
        + "statistics again and look for activations that overflow"
    case .weightingZero(let method):
      "\(method): the statistics of the input are all zero; calibrate with text that reaches this "
        + "layer, or leave it out with 'ignore'"
    case .rankOutOfRange(let rank, let rows, let columns):
      "rank \(rank) of a \(rows) × \(columns) matrix: it must be from 1 to \(min(rows, columns))"
    case .optionOutOfRange(let name, let value, let allowed):
      "\(name) is \(value); it must be \(allowed)"
    case .baseQuantized(let method):
      "\(method) needs a dense base, and this one is quantized: decompose in full precision, then "
        + "quantize the residual"
    case .baseMissing(let method):
      "\(method) needs a base, and factors alone stand for this weight"
    case .factorsDisagree(let what, let expected, let found):
      "\(what): size \(found), expected \(expected)"
    case .weights(let error): "\(error)"
    case .linearAlgebra(let error): "\(error)"
    }
  }
}
