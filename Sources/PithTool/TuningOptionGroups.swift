import ArgumentParser
import Foundation
import Pith

extension TuningRequest.Goal: ExpressibleByArgument {}

/// What is learnt, and from what.
struct TuningDataOptions: ParsableArguments {
  @Option(help: "A text, JSONL, or an HDF5 file with window_ids.")
  var data: String

  @Option(help: "The same, never learnt from. Default: the last tenth of --data.")
  var heldOut: String?

  @Option(help: "The most held-out windows or records.")
  var heldOutCount = 64

  @Option(
    help: """
      kl (the --teacher's distribution), lm (the next token), options (of --template), \
      options-kl (the --teacher's choice among them), answers-f1, answers-accuracy. Default: by \
      what else is given.
      """)
  var objective: TuningRequest.Goal?

  @Option(help: "Another objective beside the first, such as lm=0.1; may be repeated.")
  var mix: [String] = []

  @Option(help: "The original model, whose distribution is learnt.")
  var teacher: String?

  @OptionGroup var prompt: PromptOptions

  @Option(help: "With --template: the field with each record's own list of options.")
  var choices: String?

  @Option(help: "With answers: the field with the right answer, or a list of them.")
  var answer = "answer"

  @OptionGroup var text: TextOptions

  @Option(help: "Tokens of a window. Default: 64.")
  var length: Int?

  @Option(help: "The most windows to learn from.")
  var windows = 2048

  @Option(help: "With --template: the most records to learn from. Default: all.")
  var records: Int?

  func fill(_ request: inout TuningRequest) throws {
    request.heldOut = heldOut
    request.heldOutCount = heldOutCount
    request.goal = objective
    for text in mix {
      guard let part = TuningRequest.mixed(text) else {
        throw UsageError("--mix is '\(text)'; expected such as lm=0.1")
      }
      request.mixed.append(part)
    }
    request.teacher = teacher
    request.template = prompt.template
    request.labelField = prompt.label
    request.choicesField = choices
    request.answerField = answer
    request.maximumTextTokens = prompt.maxTextTokens
    request.withBeginning = text.bos
    request.field = text.field
    request.tokenizer = text.tokenizer
    request.length = length
    request.windows = windows
    request.records = records
  }
}

/// How a run steps: a method's settings, and what is changed of them.
struct TuningStepOptions: ParsableArguments {
  @Option(
    help: """
      qzo (scales, logarithmic), qzo-paper (scales, the paper's settings), mezo (dense weights), \
      sparse-mezo, lora (low-rank factors), zo-adam (scales).
      """)
  var method = "qzo"

  @Option(help: "Steps.")
  var steps = 2000

  @Option(help: "Examples of a step.")
  var batch = 16

  @Option(help: "The seed of directions and batches.")
  var seed: UInt64 = 0

  @Option(
    help: """
      What is tuned, a comma between: scales, zeros, outliers, low_rank, singular_values, norms, biases, \
      dense.
      """)
  var parameters: String?

  @Option(help: "Scales' form: log or absolute.")
  var form: String?

  @Option(help: "Directions of a step.")
  var directions: Int?

  @Flag(
    inversion: .prefixedNo,
    help: "Whether directions share out the batch, instead of each seeing all of it.")
  var shared: Bool?

  @Option(help: "two_sided or one_sided.")
  var estimator: String?

  @Option(help: "Directions' distribution: rademacher, gaussian or low_rank.")
  var distribution: String?

  @Option(help: "Of low_rank directions.")
  var rank: Int?

  @Option(help: "Of low_rank directions: steps for which the right factor stays.")
  var refresh: Int?

  @Option(help: "How far the sides are apart. Default: calibrated.")
  var epsilon: Double?

  @Option(help: "Default: calibrated by --relative-step.")
  var learningRate: Double?

  @Option(help: "How far a step moves, relative to the coordinates' length.")
  var relativeStep: Double?

  @Option(help: "The bound of a slope: calibrated, none, or a number.")
  var clip: String?

  @Option(help: "constant, linear or cosine.")
  var schedule: String?

  @Option(help: "sgd, momentum, adam or sign.")
  var rule: String?

  @Option(help: "Momentum's and Adam's first decay.")
  var beta1: Double?

  @Option(help: "Adam's second decay.")
  var beta2: Double?

  @Option(help: "Of dense weights.")
  var weightDecay: Double?

  @Option(help: "What a running average of the coordinates keeps at each step; 0: none.")
  var averaging: Double?

  @Option(
    help: "The first block that is tuned; those below are run once, before the first step.")
  var firstBlock: Int?

  @Flag(help: "One block a step, in turn.")
  var blockwise = false

  @Option(help: "Of dense weights: the fraction, the largest, that stays.")
  var sparsity: Double?

  @Option(help: "Steps from one held-out evaluation to the next.")
  var evaluateEvery: Int?

  @Option(help: "Probes of the calibration.")
  var probes: Int?

  @Option(
    help: """
      What a step's products with integer codes are summed in: f32 or int16, the machine's \
      quickest when absent.
      """)
  var arithmetic: String?

  func options() throws -> TuningOptions {
    guard var result = TuningOptions.named(method) else {
      throw UsageError(
        "there is no method '\(method)'; expected \(TuningOptions.names.joined(separator: ", "))")
    }
    func choice<T: RawRepresentable>(_ name: String, _ text: String?, _ old: T) throws -> T
    where T.RawValue == String {
      guard let text else { return old }
      guard let value = T(rawValue: text) else { throw UsageError("--\(name) cannot be '\(text)'") }
      return value
    }
    result.steps = steps
    result.batch = batch
    result.seed = seed
    if let parameters {
      result.parameters = Set(
        try parameters.split(separator: ",").map { text in
          guard let kind = ParameterKind(rawValue: String(text)) else {
            throw UsageError("--parameters has no kind '\(text)'")
          }
          return kind
        })
    }
    result.form = try choice("form", form, result.form)
    result.estimator = try choice("estimator", estimator, result.estimator)
    result.distribution = try choice("distribution", distribution, result.distribution)
    result.schedule = try choice("schedule", schedule, result.schedule)
    result.rule = try choice("rule", rule, result.rule)
    result.directions = directions ?? result.directions
    result.rank = rank ?? result.rank
    result.refresh = refresh ?? result.refresh
    result.shared = shared ?? (result.shared && result.batch % result.directions == 0)
    result.epsilon = epsilon ?? result.epsilon
    result.learningRate = learningRate ?? result.learningRate
    result.relativeStep = relativeStep ?? result.relativeStep
    switch clip {
    case nil: break
    case "calibrated"?: result.clip = .calibrated
    case "none"?: result.clip = .none
    case let text?:
      guard let bound = Double(text) else { throw UsageError("--clip cannot be '\(text)'") }
      result.clip = .value(bound)
    }
    result.beta1 = beta1 ?? result.beta1
    result.beta2 = beta2 ?? result.beta2
    result.weightDecay = weightDecay ?? result.weightDecay
    result.averaging = averaging ?? result.averaging
    result.blockwise = blockwise || result.blockwise
    result.firstBlock = firstBlock ?? result.firstBlock
    result.sparsity = sparsity ?? result.sparsity
    result.evaluateEvery = evaluateEvery ?? max(1, steps / 20)
    result.probes = probes ?? result.probes
    result.arithmetic = try choice("arithmetic", arithmetic, result.arithmetic)
    return result
  }
}
