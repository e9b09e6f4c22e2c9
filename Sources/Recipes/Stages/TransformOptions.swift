/// The options of `transform`: the inputs are changed so that the weight becomes easier.
public struct TransformOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// x[j] / t[j], the weight's columns multiplied by t[j].
    case channelScale = "channel_scale"
    /// x·Q, a randomized Hadamard rotation; the weight's columns turned alike.
    case hadamard
  }

  public var method: Method
  /// t[j] = (max over i of |W[i, j]|)^alpha, normalised.
  public var alpha: Double
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .channelScale, alpha: Double = 0.5, position: SourcePosition = .none
  ) {
    self.method = method
    self.alpha = alpha
    self.position = position
  }
}

extension TransformOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "transform"
  static let summary = "Changes the inputs, and the weight with them, before it is compressed."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      `channel_scale` scales each input by its weights' largest absolute value to the power alpha; \
      `hadamard` turns the inputs by a randomized Hadamard rotation (the recipe's seed).
      """),
    .optional(
      "alpha", \.alpha, .number(0...1), "Only `channel_scale`: the power; 0 changes nothing."),
  ]
}
