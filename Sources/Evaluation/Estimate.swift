/// A number with its standard error.
public struct Estimate: Sendable, Hashable {
  public let value: Double
  public let standardError: Double

  public init(value: Double, standardError: Double) {
    self.value = value
    self.standardError = standardError
  }

  /// The mean over tokens, its error over windows, whose tokens are not independent.
  ///
  /// Ratio estimator: with s the sums and c the counts of n windows, the mean is Σs / Σc and its
  /// error √(n / (n−1) · Σ (s − mean·c)²) / Σc; not a number for a single window.
  public static func mean(sums: [Double], counts: [Double]) -> Estimate {
    let total = counts.reduce(0, +)
    let mean = sums.reduce(0, +) / total
    let squares = zip(sums, counts).reduce(0) { sum, pair in
      let rest = pair.0 - mean * pair.1
      return sum + rest * rest
    }
    let n = Double(sums.count)
    let error = n > 1 ? (n / (n - 1) * squares).squareRoot() / total : .nan
    return Estimate(value: mean, standardError: error)
  }
}
