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
  /// The same with keys and values kept exactly, where the compressed model rounds them.
  public var withExactCache: ExactCache?

  /// What rounding keys and values is measured against.
  public struct ExactCache: Sendable, Hashable {
    public var perplexityRatio: Double
    /// KL(original ‖ compressed) in nats a token, mean.
    public var divergence: Double

    public init(perplexityRatio: Double, divergence: Double) {
      self.perplexityRatio = perplexityRatio
      self.divergence = divergence
    }
  }

  /// What rounding keys and values adds to the divergence.
  public var cacheDivergence: Double { withExactCache.map { divergence - $0.divergence } ?? 0 }

  public init(
    data: String, perplexity: Double, referencePerplexity: Double, perplexityRatio: Double,
    perplexityRatioError: Double, divergence: Double, agreement: Double,
    withExactCache: ExactCache? = nil
  ) {
    self.data = data
    self.perplexity = perplexity
    self.referencePerplexity = referencePerplexity
    self.perplexityRatio = perplexityRatio
    self.perplexityRatioError = perplexityRatioError
    self.divergence = divergence
    self.agreement = agreement
    self.withExactCache = withExactCache
  }

  /// The figures as JSON.
  public var json: JSONValue {
    var object = JSONObject()
    object["data"] = JSONValue(data)
    object["perplexity"] = JSONValue(perplexity)
    object["reference_perplexity"] = JSONValue(referencePerplexity)
    object["perplexity_ratio"] = JSONValue(perplexityRatio)
    object["perplexity_ratio_standard_error"] = JSONValue(perplexityRatioError)
    object["kl_mean"] = JSONValue(divergence)
    object["top1_agreement"] = JSONValue(agreement)
    object["perplexity_ratio_exact_cache"] = withExactCache.map { JSONValue($0.perplexityRatio) }
    object["kl_mean_exact_cache"] = withExactCache.map { JSONValue($0.divergence) }
    return .object(object)
  }
}
