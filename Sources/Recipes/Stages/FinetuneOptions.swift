/// The options of `finetune`: what is continuous is tuned at the end, with forward passes only.
public struct FinetuneOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    case qzo
    case qzoPaper = "qzo-paper"
    case mezo
    case sparseMezo = "sparse-mezo"
    case lora
    case zoAdam = "zo-adam"
  }

  public enum Objective: String, Sendable, Hashable, CaseIterable {
    case kl, lm, options
    case answersF1 = "answers-f1"
    case answersAccuracy = "answers-accuracy"
  }

  public var method: Method
  public var objective: Objective
  public var data: String
  public var heldOut: String?
  public var template: String?
  public var steps: Int
  public var batch: Int
  public var directions: Int
  public var shared: Bool
  public var length: Int
  public var windows: Int
  public var maximumTextTokens: Int?
  public var withBeginning: Bool
  public var relativeStep: Double?
  public var learningRate: Double?
  public var epsilon: Double?
  public var averaging: Double?
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .qzo, objective: Objective = .kl, data: String = "", heldOut: String? = nil,
    template: String? = nil, steps: Int = 2000, batch: Int = 16, directions: Int = 1,
    shared: Bool = false, length: Int = 64, windows: Int = 2048, maximumTextTokens: Int? = nil,
    withBeginning: Bool = false, relativeStep: Double? = nil, learningRate: Double? = nil,
    epsilon: Double? = nil, averaging: Double? = nil, position: SourcePosition = .none
  ) {
    self.method = method
    self.objective = objective
    self.data = data
    self.heldOut = heldOut
    self.template = template
    self.steps = steps
    self.batch = batch
    self.directions = directions
    self.shared = shared
    self.length = length
    self.windows = windows
    self.maximumTextTokens = maximumTextTokens
    self.withBeginning = withBeginning
    self.relativeStep = relativeStep
    self.learningRate = learningRate
    self.epsilon = epsilon
    self.averaging = averaging
    self.position = position
  }
}

extension FinetuneOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "finetune"
  static let summary =
    "Tunes scales, factors or dense weights of the finished artefact, with forward passes only."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      What moves: `qzo` the scales, as logarithms; `qzo-paper` the scales by the paper's settings; \
      `zo-adam` the scales by Adam; `lora` low-rank factors; `mezo` dense weights; `sparse-mezo` \
      their smaller ones.
      """),
    .required(
      "objective", \.objective, .choice(),
      """
      `kl` what the original model says of a text, `lm` the text's next token, `options` the right \
      option of a template, `answers-f1` and `answers-accuracy` what the model writes.
      """),
    .required(
      "data", \.data, .line,
      "A text, JSONL, or an HDF5 file of windows; a path as on the command line."),
    .optional(
      "held_out", \.heldOut, .line,
      "The same, never learnt from; the last tenth of `data` when absent."),
    .optional("template", \.template, .line, "Of `options` and answers: prompt and options."),
    .optional("steps", \.steps, .integer(1...100_000_000), "Steps."),
    .optional("batch", \.batch, .integer(1...65536), "Examples of a step."),
    .optional("directions", \.directions, .integer(1...256), "Directions of a step."),
    .optional(
      "shared", \.shared, .boolean,
      "Whether directions share out the batch, instead of each seeing all of it."),
    .optional("length", \.length, .integer(2...1_048_576), "Tokens of a window of text."),
    .optional("windows", \.windows, .integer(1...16_777_216), "The most windows to learn from."),
    .optional(
      "max_text_tokens", \.maximumTextTokens, .integer(1...1_048_576),
      "With a template: cuts the text to so many tokens."),
    .optional("bos", \.withBeginning, .boolean, "Whether the beginning token goes first."),
    .optional(
      "relative_step", \.relativeStep, .fraction,
      "How far a step moves, relative to the coordinates' length; the method's own when absent."),
    .optional(
      "learning_rate", \.learningRate, .number(0...1e9), "In the place of a calibrated one."),
    .optional("epsilon", \.epsilon, .number(0...1e9), "In the place of a calibrated one."),
    .optional(
      "averaging", \.averaging, .fraction,
      "What a running average of the coordinates keeps at each step; none when absent."),
  ]
}
