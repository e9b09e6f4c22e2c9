import Foundation
import Tensors

extension ChannelScaling {
  /// Scales from the weight alone: t[j] = (max over i of |W[i, j]|)^alpha, divided by their
  /// geometric mean.
  ///
  /// Columns of zeros get 1: nothing can be gained or lost there.
  ///
  /// - Parameters:
  ///   - weight: out × in.
  ///   - alpha: 0 changes nothing; 1 makes the columns' maxima grow as their squares.
  public static func scale(of weight: Matrix<Float>, alpha: Float) -> [Float] {
    var largest = [Float](repeating: 0, count: weight.columns)
    for row in 0..<weight.rows {
      for (column, value) in weight.values[weight.range(ofRow: row)].enumerated() {
        largest[column] = max(largest[column], abs(value))
      }
    }
    let logarithms = largest.map { $0 > 0 ? alpha * log($0) : nil }
    let known = logarithms.compactMap { $0 }
    guard !known.isEmpty else { return [Float](repeating: 1, count: weight.columns) }
    let mean = known.reduce(0, +) / Float(known.count)
    return logarithms.map { $0.map { exp($0 - mean) } ?? 1 }
  }
}
