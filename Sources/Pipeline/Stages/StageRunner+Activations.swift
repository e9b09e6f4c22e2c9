import Architectures
import Foundation
import Quantization
import Recipes
import Tensors
import Weights

extension StageRunner {
  /// The weight with its inputs rounded; one range for all rows is taken from the statistics.
  static func activations(
    _ weight: CompressedWeight, _ scheme: ActivationScheme, statistics: InputStatistics?,
    notes: inout [String]
  ) throws -> CompressedWeight {
    var scheme = scheme
    if scheme.isCalibrated, scheme.maximum == nil {
      guard let statistics, statistics.width == weight.columns else {
        throw QuantizationError.statisticsMismatch(
          rows: weight.rows, columns: weight.columns, gram: [0, 0])
      }
      let (maximum, mean) = range(of: statistics, through: weight.site?.transforms ?? [])
      guard maximum > 0, maximum.isFinite else {
        throw WeightsError.activations(
          scheme: scheme.name, reason: "the statistics' largest value is \(maximum)")
      }
      scheme.maximum = maximum
      // One outlier sets the scale for ever: said with its size.
      let ratio = Int((maximum / max(mean, .leastNormalMagnitude)).rounded())
      if ratio >= 64, scheme.scale == .f32 {
        notes.append(
          "one range for all inputs: the largest is \(ratio) times their root mean square")
      }
    }
    var result = weight
    result.site = Site(transforms: weight.site?.transforms ?? [], activations: scheme)
    return result
  }

  /// The largest |T(x)| and the root mean square of T(x).
  private static func range(
    of statistics: InputStatistics, through transforms: [InputTransform]
  ) -> (maximum: Float, rootMeanSquare: Float) {
    var maxima = statistics.maxima
    var squares = statistics.squareSums
    for transform in transforms {
      switch transform {
      case .scale(let tensor):
        for (column, scale) in tensor.floats().enumerated() {
          maxima[column] /= scale
          squares[column] /= Double(scale) * Double(scale)
        }
      case .permutation: break
      case .hadamard:
        // Turned channels are close to normal, and alike.
        let mean = squares.reduce(0, +) / Double(max(1, squares.count))
        let rows = Double(max(2, statistics.rows))
        let largest = Float((2 * log(rows) * mean / rows).squareRoot())
        squares = squares.map { _ in mean }
        maxima = maxima.map { _ in largest }
      }
    }
    let count = Double(max(1, statistics.rows * statistics.width))
    return (maxima.max() ?? 0, Float((squares.reduce(0, +) / count).squareRoot()))
  }
}

extension KeyValueScheme {
  /// The scheme that a recipe asks for, where it asks for no stored scales.
  init(_ options: KeyValueOptions) {
    self.init(
      keyBits: options.bits, valueBits: options.valueBits,
      keys: options.keys == .channel ? .channel : .token, group: options.group,
      residual: options.residual)
  }
}

extension KeyValueScales.Format {
  /// The format that a recipe asks for.
  init(_ stored: KeyValueOptions.Stored) {
    switch stored {
    case .int8: self = .int8
    case .fp8E4M3: self = .fp8E4M3
    }
  }
}
