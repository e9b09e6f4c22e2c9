import Foundation
import Tensors

/// Scales that share loudness out between activations and weights.
///
/// Xiao and others 2022, arXiv 2211.10438: s_j = max|x_j|^α / max|W_:j|^(1−α) over all layers that read
/// the input. Inputs are divided by s, columns multiplied; α = 1 makes every channel as loud as the
/// others.
public enum SmoothQuant {
  /// (1) Positive, finite, between 2^−20 and 2^20; (2) 1 where the input or its columns are zero
  /// throughout, instead of the 1e5 that a clamp from below gives; (3) with α = 1 every smoothed
  /// maximum is 1; (4) with α = 0 every column's is.
  ///
  /// - Parameters:
  ///   - maxima: max |x_j|.
  ///   - columnMaxima: max |W_:j| over all readers (`ColumnMaxima.of`).
  ///   - alpha: 0 to 1.
  public static func scale(
    maxima: [Float], columnMaxima: [Float], alpha: Double
  ) throws(QuantizationError) -> [Float] {
    try SmoothingInput.check(maxima, named: "maxima")
    try SmoothingInput.check(columnMaxima, named: "column maxima")
    precondition(maxima.count == columnMaxima.count, "one maximum a column")
    guard (0...1).contains(alpha) else {
      throw .optionOutOfRange(name: "alpha", value: "\(alpha)", allowed: "from 0 to 1")
    }
    return zip(maxima, columnMaxima).map { loud, column in
      guard loud > 0, column > 0 else { return 1 }
      return SmoothingInput.bounded(
        pow(Double(loud), alpha) / pow(Double(column), 1 - alpha))
    }
  }
}

/// Static scales of the activations' channels, moved wholly into the weight.
///
/// OutlierTune (Wang and others 2024, arXiv 2406.18832), from its description: x' = (x − c)/s,
/// W' = W·diag(s), b' = b + W·c. The channel's largest value becomes s, so that one step serves all
/// channels; the shift centres them first, where a bias can take it.
public enum OutlierTune {
  /// (1) Positive, finite, between 2^−20 and 2^20; (2) 1 for a channel that is never active.
  ///
  /// - Parameters:
  ///   - maxima: max |x_j − c_j|.
  public static func scale(maxima: [Float]) throws(QuantizationError) -> [Float] {
    try SmoothingInput.check(maxima, named: "maxima")
    return maxima.map { $0 > 0 ? SmoothingInput.bounded(Double($0)) : 1 }
  }

  /// The channels' means; zeros when nothing was seen.
  public static func shift(sums: [Double], rows: Int) -> [Double] {
    rows > 0 ? sums.map { $0 / Double(rows) } : sums.map { _ in 0 }
  }
}

/// max |W_:j| over several weights of one width.
public enum ColumnMaxima {
  public static func of(_ weights: [Matrix<Float>]) -> [Float] {
    guard let width = weights.first?.columns else { return [] }
    var largest = [Float](repeating: 0, count: width)
    for weight in weights {
      precondition(weight.columns == width, "\(weight.columns) columns for \(width)")
      for row in 0..<weight.rows {
        let start = row * width
        for column in 0..<width {
          largest[column] = max(largest[column], abs(weight.values[start + column]))
        }
      }
    }
    return largest
  }
}

/// What smoothing takes and gives, within bounds.
enum SmoothingInput {
  static func check(_ values: [Float], named name: String) throws(QuantizationError) {
    if let index = values.firstIndex(where: { !$0.isFinite || $0 < 0 }) {
      throw .optionOutOfRange(
        name: "\(name)[\(index)]", value: "\(values[index])", allowed: "finite and not negative")
    }
  }

  /// Scales beyond this only move rounding from one side to the other.
  static func bounded(_ scale: Double) -> Float {
    guard scale.isFinite else { return scale > 0 ? 0x1p20 : 1 }
    return Float(min(max(scale, 0x1p-20), 0x1p20))
  }
}
