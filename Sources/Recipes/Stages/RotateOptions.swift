/// The options of `rotate`: the model's bases are turned before its weights are compressed.
public struct RotateOptions: Sendable, Hashable {
  public var residual: Bool
  public var heads: Bool
  public var online: Bool
  @Incidental public var position: SourcePosition

  public init(
    residual: Bool = true, heads: Bool = true, online: Bool = false,
    position: SourcePosition = .none
  ) {
    self.residual = residual
    self.heads = heads
    self.online = online
    self.position = position
  }
}

extension RotateOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "rotate"
  static let summary = """
    Turns the model's bases by randomized Hadamard rotations that cancel out (the recipe's seed), so \
    that no channel is louder than the others. A stage of the whole model.
    """
  static let options: [OptionDeclaration<Self>] = [
    .optional(
      "residual", \.residual, .boolean,
      "The residual stream, folded into the weights; a head that is the embedding is untied."),
    .optional(
      "heads", \.heads, .boolean,
      "Each head's values, folded into the value and the output map."),
    .optional(
      "online", \.online, .boolean,
      """
      Also the inputs of the last feed-forward map, which nothing can fold: an input transform of \
      that weight, computed at run time.
      """),
  ]
}
