/// The options of `finetune`: what is continuous is tuned at the end, with forward passes only.
///
/// What is nil is the method's own, as on the command line.
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
    case optionsKL = "options-kl"
    case answersF1 = "answers-f1"
    case answersAccuracy = "answers-accuracy"
  }

  public enum Parameter: String, Sendable, Hashable, CaseIterable {
    case scales, zeros, outliers
    case lowRank = "low_rank"
    case singularValues = "singular_values"
    case norms, biases, dense
  }

  public enum Form: String, Sendable, Hashable, CaseIterable { case log, absolute }

  public enum Estimator: String, Sendable, Hashable, CaseIterable {
    case twoSided = "two_sided"
    case oneSided = "one_sided"
  }

  public enum Distribution: String, Sendable, Hashable, CaseIterable {
    case rademacher, gaussian
    case lowRank = "low_rank"
  }

  public enum Schedule: String, Sendable, Hashable, CaseIterable { case constant, linear, cosine }

  public enum Rule: String, Sendable, Hashable, CaseIterable { case sgd, momentum, adam, sign }

  public enum Arithmetic: String, Sendable, Hashable, CaseIterable { case f32, int16 }

  public var method = Method.qzo
  public var objective = Objective.kl
  public var data = ""
  public var heldOut: String?
  public var heldOutCount: Int?
  public var mix: String?
  public var template: String?
  public var label = "label"
  public var choices: String?
  public var answer = "answer"
  public var records: Int?
  public var field = "text"
  public var steps = 2000
  public var batch = 16
  public var directions = 1
  public var shared = false
  public var length = 64
  public var windows = 2048
  public var maximumTextTokens: Int?
  public var withBeginning = false
  public var parameters: [Parameter]?
  public var firstBlock: Int?
  public var form: Form?
  public var estimator: Estimator?
  public var distribution: Distribution?
  public var rank: Int?
  public var refresh: Int?
  public var relativeStep: Double?
  public var learningRate: Double?
  public var epsilon: Double?
  public var clip: Double?
  public var schedule: Schedule?
  public var rule: Rule?
  public var beta1: Double?
  public var beta2: Double?
  public var weightDecay: Double?
  public var averaging: Double?
  public var blockwise = false
  public var sparsity: Double?
  public var evaluateEvery: Int?
  public var probes: Int?
  public var arithmetic: Arithmetic?
  @Incidental public var position: SourcePosition

  public init() { position = .none }
}
