import Foundation

/// How far a model has moved from a reference, token by token; errors from a bootstrap over windows.
public struct Divergence: Sendable, Hashable {
  /// KL(reference ‖ model) per token, in nats.
  public let mean: Estimate
  public let median: Estimate
  public let percentile90: Estimate
  public let percentile99: Estimate
  public let maximum: Estimate
  /// Mean of log q(token) − log p(token): negative when the model has become worse.
  public let logProbabilityChange: Estimate
  /// The model's perplexity as a multiple of the reference's: exp of minus that mean.
  public let perplexityRatio: Estimate
  /// The fraction of tokens where both find the same token the most likely.
  public let agreement: Estimate
  public let reference: Perplexity
  /// Set when KL is over so many saved tokens and one bucket of all others: a lower bound.
  public let savedTokens: Int?

  static let quantiles = [0.5, 0.9, 0.99, 1.0]

  /// - Parameter scores: those of a run with a reference; without one is a bug of the caller.
  public init(_ scores: TokenScores, bootstrap: Bootstrap) {
    precondition(scores.hasReference, "scores with a reference")
    savedTokens = scores.savedTokens
    let counts = scores.counts
    func mean(_ values: [Double]) -> Estimate {
      let sums = scores.sums(values)
      return Estimate(
        value: sums.reduce(0, +) / counts.reduce(0, +),
        standardError: Bootstrap.standardError(bootstrap.ratios(sums: sums, counts: counts)))
    }
    self.mean = mean(scores.divergences)
    let spread = bootstrap.quantiles(
      scores.divergences, offsets: scores.offsets, Self.quantiles)
    let found = zip(Self.quantiles, spread).map { fraction, replicates in
      Estimate(
        value: Bootstrap.quantile(scores.divergences, fraction),
        standardError: Bootstrap.standardError(replicates))
    }
    (median, percentile90, percentile99, maximum) = (found[0], found[1], found[2], found[3])
    let changes = scores.logProbabilityChanges
    logProbabilityChange = mean(changes)
    let ratios = bootstrap.ratios(sums: scores.sums(changes), counts: counts).map { exp(-$0) }
    perplexityRatio = Estimate(
      value: exp(-logProbabilityChange.value), standardError: Bootstrap.standardError(ratios))
    agreement = mean(scores.agreements.map { $0 ? 1 : 0 })
    reference = Perplexity(scores, values: scores.referenceNegativeLogLikelihoods)
  }
}

extension TokenScores {
  /// log q − log p of every token.
  var logProbabilityChanges: [Double] {
    zip(referenceNegativeLogLikelihoods, negativeLogLikelihoods).map { $0 - $1 }
  }
}
