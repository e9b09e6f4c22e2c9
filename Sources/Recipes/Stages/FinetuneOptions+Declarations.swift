extension FinetuneOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "finetune"
  static let summary =
    "Tunes scales, factors or dense weights of the finished artefact, with forward passes only."
  static let options: [OptionDeclaration<Self>] = subject + examples + steps

  /// What is tuned, and for what.
  private static let subject: [OptionDeclaration<Self>] = [
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
      option of a template, `options-kl` the original's choice among them, `answers-f1` and \
      `answers-accuracy` what the model writes.
      """),
    .optional("mix", \.mix, .line, "An objective beside the first and its weight: `lm=0.1`."),
    .optional(
      "parameters", \.parameters, .choices(),
      "What is tuned, in the place of the method's own choice; kinds may be joined."),
    .optional(
      "first_block", \.firstBlock, .integer(0...65535),
      "The first block that is tuned; those below are run once, before the first step."),
    .optional("form", \.form, .choice(), "Of scales: `log` steps by factors, `absolute` by sums."),
    .optional(
      "sparsity", \.sparsity, .fraction, "Of dense weights: the fraction, the largest, that stays."),
  ]

  /// What is learnt from.
  private static let examples: [OptionDeclaration<Self>] = [
    .required(
      "data", \.data, .line,
      "A text, JSONL, or an HDF5 file of windows; a path as on the command line."),
    .optional(
      "held_out", \.heldOut, .line,
      "The same, never learnt from; the last tenth of `data` when absent."),
    .optional(
      "held_out_count", \.heldOutCount, .integer(1...16_777_216),
      "The most held-out examples; 64 windows or 500 records when absent."),
    .optional("template", \.template, .line, "Of options and answers: prompt and options."),
    .optional(
      "label", \.label, .line, "With a template: the field with the right option's number."),
    .optional(
      "choices", \.choices, .line,
      "With a template: the field with each record's own list of options."),
    .optional(
      "answer", \.answer, .line, "Of answers: the field with the right one, or a list of them."),
    .optional(
      "records", \.records, .integer(1...16_777_216),
      "With a template: the most records to learn from; all when absent."),
    .optional("field", \.field, .line, "JSONL without a template: the field that holds the text."),
    .optional("length", \.length, .integer(2...1_048_576), "Tokens of a window of text."),
    .optional("windows", \.windows, .integer(1...16_777_216), "The most windows to learn from."),
    .optional(
      "max_text_tokens", \.maximumTextTokens, .integer(1...1_048_576),
      "With a template: cuts the text to so many tokens."),
    .optional("bos", \.withBeginning, .boolean, "Whether the beginning token goes first."),
  ]

  /// How a step learns and moves.
  private static let steps: [OptionDeclaration<Self>] = [
    .optional("steps", \.steps, .integer(1...100_000_000), "Steps."),
    .optional("batch", \.batch, .integer(1...65536), "Examples of a step."),
    .optional("directions", \.directions, .integer(1...256), "Directions of a step."),
    .optional(
      "shared", \.shared, .boolean,
      "Whether directions share out the batch, instead of each seeing all of it."),
    .optional("estimator", \.estimator, .choice(), "Both sides of a direction, or one."),
    .optional("distribution", \.distribution, .choice(), "How directions are drawn."),
    .optional("rank", \.rank, .integer(1...256), "Of `low_rank` directions."),
    .optional(
      "refresh", \.refresh, .integer(1...100_000_000),
      "Of `low_rank` directions: steps for which the right factor stays."),
    .optional(
      "relative_step", \.relativeStep, .fraction,
      "How far a step moves, relative to the coordinates' length; the method's own when absent."),
    .optional(
      "learning_rate", \.learningRate, .number(0...1e9), "In the place of a calibrated one."),
    .optional("epsilon", \.epsilon, .number(0...1e9), "In the place of a calibrated one."),
    .optional(
      "clip", \.clip, .number(0...1e9),
      "The bound of a slope, 0 for none, in the place of a calibrated one."),
    .optional("schedule", \.schedule, .choice(), "How the rate falls; `constant` when absent."),
    .optional("rule", \.rule, .choice(), "What a slope does; the method's own when absent."),
    .optional("beta1", \.beta1, .fraction, "Momentum's and Adam's first decay."),
    .optional("beta2", \.beta2, .fraction, "Adam's second decay."),
    .optional("weight_decay", \.weightDecay, .number(0...1), "Of dense weights."),
    .optional(
      "averaging", \.averaging, .fraction,
      "What a running average of the coordinates keeps at each step; none when absent."),
    .optional("blockwise", \.blockwise, .boolean, "Whether steps take the blocks in turn."),
    .optional(
      "evaluate_every", \.evaluateEvery, .integer(1...100_000_000),
      "Steps from one held-out evaluation to the next; a twentieth of all when absent."),
    .optional("probes", \.probes, .integer(1...4096), "Slopes that calibration looks at."),
    .optional(
      "arithmetic", \.arithmetic, .choice(),
      "What a step's products with integer codes are summed in; the machine's quickest when absent."
    ),
  ]
}
