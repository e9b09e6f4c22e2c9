/// The options of `narrow`: whole channels, heads and blocks leave the model.
public struct NarrowOptions: Sendable, Hashable {
  /// The fraction of feed-forward channels that stays, nil: all.
  public var feedForward: Double?
  /// The fraction of key/value heads that stays, each with the query heads that read it; nil: all.
  public var heads: Double?
  /// How many blocks leave; nil: none.
  public var dropBlocks: Int?
  /// Whether the rest makes good by least squares what is taken out.
  public var correct: Bool
  /// What is added to the Gram matrix's diagonal, relative to its mean.
  public var damping: Double
  @Incidental public var position: SourcePosition

  public init(
    feedForward: Double? = nil, heads: Double? = nil, dropBlocks: Int? = nil,
    correct: Bool = true, damping: Double = 0.01, position: SourcePosition = .none
  ) {
    self.feedForward = feedForward
    self.heads = heads
    self.dropBlocks = dropBlocks
    self.correct = correct
    self.damping = damping
    self.position = position
  }
}

extension NarrowOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "narrow"
  static let summary =
    "Takes whole feed-forward channels, heads and blocks out of the model: a smaller dense one."
  static let options: [OptionDeclaration<Self>] = [
    .optional(
      "feed_forward", \.feedForward, .fraction,
      "The fraction of feed-forward channels that stays, the same in every block."),
    .optional(
      "heads", \.heads, .fraction,
      """
      The fraction of key/value heads that stays, each with the query heads that read it, the same \
      in every block.
      """),
    .optional(
      "drop_blocks", \.dropBlocks, .integer(1...65536),
      "How many blocks leave: those that add least to the residual stream."),
    .optional(
      "correct", \.correct, .boolean,
      "Whether the rest makes good by least squares what is taken out."),
    .optional(
      "damping", \.damping, .fraction, "What steadies the statistics, relative to their mean."),
  ]
}
