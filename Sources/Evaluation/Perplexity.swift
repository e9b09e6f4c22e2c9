import Foundation

/// Perplexity of scored tokens: exp(mean −log p).
public struct Perplexity: Sendable, Hashable {
  /// Mean −log p in nats, its error over windows.
  public let negativeLogLikelihood: Estimate
  public let windows: Int
  public let tokens: Int

  public init(_ scores: TokenScores) {
    self.init(scores, values: scores.negativeLogLikelihoods)
  }

  init(_ scores: TokenScores, values: [Double]) {
    negativeLogLikelihood = .mean(sums: scores.sums(values), counts: scores.counts)
    windows = scores.windows
    tokens = scores.count
  }

  /// The perplexity; its error to first order: perplexity × the error of the mean.
  public var estimate: Estimate {
    let value = exp(negativeLogLikelihood.value)
    return Estimate(value: value, standardError: value * negativeLogLikelihood.standardError)
  }
}
