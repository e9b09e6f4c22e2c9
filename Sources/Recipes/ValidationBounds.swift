/// Bounds that `validate` holds figures to (docs/validation.md).
public struct ValidationBounds: Sendable, Hashable {
  /// Over all compressed tensors together.
  public var total: Limits
  /// For each compressed tensor.
  public var tensors: Limits

  public init(total: Limits = Limits(), tensors: Limits = Limits()) {
    self.total = total
    self.tensors = tensors
  }

  /// Limits; nil where there is none.
  public struct Limits: Sendable, Hashable {
    /// At most.
    public var relativeError: Double?
    public var maximumAbsolute: Double?
    public var bitsPerWeight: Double?
    /// ‖X(W − Ŵ)ᵀ‖ / ‖XWᵀ‖, with statistics.
    public var outputError: Double?
    /// Of the whole model, with a text.
    public var perplexityRatio: Double?
    public var divergence: Double?
    /// Of the cache of keys and values: bits of a number, and what its rounding adds to the
    /// divergence, with a text.
    public var cacheBits: Double?
    public var cacheDivergence: Double?
    /// At least.
    public var signalToNoise: Double?
    public var cosine: Double?
    public var ratio: Double?
    public var agreement: Double?

    public init() {}

    /// Whether a bound is on what the model says, which takes a text to measure.
    public var needsModelFigures: Bool {
      perplexityRatio != nil || divergence != nil || agreement != nil
        || cacheDivergence != nil
    }
  }
}
