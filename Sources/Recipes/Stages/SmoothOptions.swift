/// The options of `smooth`: a scale per input channel, moved between inputs and weights.
public struct SmoothOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// max|x|^alpha / max|W|^(1 − alpha).
    case smoothQuant = "smoothquant"
    /// The scale that costs least once the weights are rounded, by a search.
    case awq
    /// Every channel's largest value, after a shift to its mean where a bias can take it.
    case outlierTune = "outliertune"
  }

  /// Which inputs are scaled.
  public enum Reach: String, Sendable, Hashable, CaseIterable {
    /// All; where no neighbour can take the scale, as an input transform.
    case all
    /// Those whose scale a neighbour can take.
    case foldable
  }

  public var method: Method
  /// Only with `smoothquant`; nil is the default.
  public var alpha: Double?
  /// Only with `awq`: powers tried; nil is the default.
  public var grid: Int?
  public var inputs: Reach
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .awq, alpha: Double? = nil, grid: Int? = nil, inputs: Reach = .all,
    position: SourcePosition = .none
  ) {
    self.method = method
    self.alpha = alpha
    self.grid = grid
    self.inputs = inputs
    self.position = position
  }

  /// The options given here that the method does not know, with the method that does.
  public var foreignOptions: [(option: String, of: Method)] {
    var result: [(String, Method)] = []
    if alpha != nil, method != .smoothQuant { result.append(("alpha", .smoothQuant)) }
    if grid != nil, method != .awq { result.append(("grid", .awq)) }
    return result
  }
}

extension SmoothOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "smooth"
  static let summary = """
    Divides inputs by a scale per channel and multiplies the columns that read them, folded into the \
    norm or the linear layer before where that is exact. A stage of the whole model, calibrated.
    """
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      `awq` searches the scale that loses least when the weights are rounded as `quantize` says; \
      `smoothquant` shares loudness out between inputs and weights; `outliertune` moves all of it \
      into the weights.
      """),
    .optional(
      "alpha", \.alpha, .number(0...1),
      "Only `smoothquant`: how much of the loudness goes into the weights; 0.5 when absent."),
    .optional(
      "grid", \.grid, .integer(1...200), "Only `awq`: how many powers are tried; 20 when absent."),
    .optional(
      "inputs", \.inputs, .choice(),
      "`all`, by input transforms where nothing can take the scale, or `foldable` ones alone."),
  ]
}
