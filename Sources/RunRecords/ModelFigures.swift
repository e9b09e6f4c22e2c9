import JSONText

/// What a compressed model still says, beside its original, on one text.
public struct ModelFigures: Sendable, Hashable {
  /// The text's file.
  public var data: String
  public var perplexity: Double
  public var referencePerplexity: Double
  public var perplexityRatio: Double
  /// The ratio's standard error.
  public var perplexityRatioError: Double
  /// KL(original ‖ compressed) in nats a token, mean.
  public var divergence: Double
  /// The share of tokens where both rank the same token first.
  public var agreement: Double

  public init(
    data: String, perplexity: Double, referencePerplexity: Double, perplexityRatio: Double,
    perplexityRatioError: Double, divergence: Double, agreement: Double
  ) {
    self.data = data
    self.perplexity = perplexity
    self.referencePerplexity = referencePerplexity
    self.perplexityRatio = perplexityRatio
    self.perplexityRatioError = perplexityRatioError
    self.divergence = divergence
    self.agreement = agreement
  }

  /// The figures as JSON.
  public var json: JSONValue {
    [
      "data": JSONValue(data), "perplexity": JSONValue(perplexity),
      "reference_perplexity": JSONValue(referencePerplexity),
      "perplexity_ratio": JSONValue(perplexityRatio),
      "perplexity_ratio_standard_error": JSONValue(perplexityRatioError),
      "kl_mean": JSONValue(divergence), "top1_agreement": JSONValue(agreement),
    ]
  }
}
