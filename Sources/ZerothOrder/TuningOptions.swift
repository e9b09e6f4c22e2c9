import JSONText
import Weights

/// How a model is tuned: everything that a run's result depends on besides the model and the data.
public struct TuningOptions: Sendable, Hashable {
  /// How a step learns the slope along a direction.
  public enum Estimator: String, Sendable, Hashable, CaseIterable {
    /// (L(θ + εz) − L(θ − εz)) / 2ε.
    case twoSided = "two_sided"
    /// (L(θ + εz) − L(θ)) / ε: n + 1 passes for n directions.
    case oneSided = "one_sided"
  }

  /// The bound of the slope along a direction.
  public enum Clip: Sendable, Hashable {
    case none
    /// Three times the 90th percentile of what probes find.
    case calibrated
    /// A number; the QZO paper has 100.
    case value(Double)
  }

  public enum Schedule: String, Sendable, Hashable, CaseIterable {
    case constant
    /// Linearly to 0 at the last step.
    case linear
    /// Half a cosine to 0 at the last step.
    case cosine
  }

  /// What a slope does to the coordinates.
  public enum Rule: String, Sendable, Hashable, CaseIterable {
    case sgd, momentum, adam, sign
  }

  public var steps = 2000
  /// Examples of a step.
  public var batch = 16
  public var seed: UInt64 = 0
  public var parameters: Set<ParameterKind> = [.scales]
  public var form = ParameterForm.logarithmic
  /// Whether absolute coordinates step in units of their tensor's root mean square.
  public var relativeUnits = true
  public var estimator = Estimator.twoSided
  /// Directions of a step.
  public var directions = 1
  /// Whether each direction sees its own share of the batch; otherwise each sees all of it.
  public var shared = false
  public var distribution = Directions.Kind.rademacher
  /// Of `lowRank` directions.
  public var rank = 2
  public var refresh = 50
  /// nil: calibrated.
  public var epsilon: Double?
  /// nil: calibrated, so that a step moves the coordinates by `relativeStep` of their length.
  public var learningRate: Double?
  public var relativeStep = 1e-3
  public var clip = Clip.calibrated
  public var schedule = Schedule.constant
  public var rule = Rule.sgd
  /// Of momentum and Adam.
  public var beta1 = 0.9
  /// Of Adam.
  public var beta2 = 0.999
  public var weightDecay = 0.0
  /// The share that a running average of the coordinates keeps at each step; 0: no average.
  public var averaging = 0.0
  /// Whether steps take the model's blocks in turn, one block a step.
  public var blockwise = false
  /// The first block that is tuned; those below are run once, before the first step.
  public var firstBlock = 0
  /// Of dense weights: the fraction, the largest, that stays (Sparse MeZO).
  public var sparsity: Double?
  /// Steps from one held-out evaluation to the next.
  public var evaluateEvery = 200
  public var probes = 16
  /// What a step's products with integer codes are summed in.
  public var arithmetic = ProductArithmetic.quickest

  public init() {}

  /// - Throws: `ZerothOrderError.badOption`.
  public func validate() throws(ZerothOrderError) {
    func check(_ name: String, _ isGood: Bool, _ found: String, _ expected: String)
      throws(ZerothOrderError)
    {
      guard isGood else { throw .badOption(name: name, found: found, expected: expected) }
    }
    try check("steps", (1...100_000_000).contains(steps), "\(steps)", "1 to 100,000,000")
    try check("batch", (1...65536).contains(batch), "\(batch)", "1 to 65536")
    try check("directions", (1...256).contains(directions), "\(directions)", "1 to 256")
    try check(
      "shared", !shared || batch % directions == 0, "\(batch) examples for \(directions)",
      "a batch that the directions divide")
    for (name, value) in [("epsilon", epsilon), ("learning_rate", learningRate)] {
      try check(
        name, value.map { $0 > 0 && $0.isFinite } ?? true, "\(value ?? 0)", "a positive number")
    }
    try check(
      "relative_step", relativeStep > 0 && relativeStep < 1, "\(relativeStep)", "above 0, below 1")
    if case .value(let bound) = clip {
      try check("clip", bound > 0 && bound.isFinite, "\(bound)", "a positive number")
    }
    for (name, value) in [("beta1", beta1), ("beta2", beta2), ("averaging", averaging)] {
      try check(name, (0..<1).contains(value), "\(value)", "at least 0, below 1")
    }
    try check("weight_decay", (0..<1).contains(weightDecay), "\(weightDecay)", "0 to 1")
    try check(
      "sparsity", sparsity.map { $0 > 0 && $0 < 1 } ?? true, "\(sparsity ?? 0)",
      "above 0, below 1")
    try check("evaluate_every", evaluateEvery >= 1, "\(evaluateEvery)", "at least 1")
    try check("probes", (1...4096).contains(probes), "\(probes)", "1 to 4096")
    try check("rank", (1...256).contains(rank), "\(rank)", "1 to 256")
    try check("refresh", refresh >= 1, "\(refresh)", "at least 1")
    try check("first_block", firstBlock >= 0, "\(firstBlock)", "0 or more")
    try check("parameters", !parameters.isEmpty, "empty", "at least one kind")
  }

  public var json: JSONValue {
    [
      "steps": .init(steps), "batch": .init(batch), "seed": .init(String(seed)),
      "parameters": .array(parameters.map(\.rawValue).sorted().map { .string($0) }),
      "form": .init(form.rawValue), "relative_units": .init(relativeUnits),
      "estimator": .init(estimator.rawValue), "directions": .init(directions),
      "shared": .init(shared), "distribution": .init(distribution.rawValue),
      "rank": .init(rank), "refresh": .init(refresh),
      "epsilon": epsilon.map { .init($0) } ?? .null,
      "learning_rate": learningRate.map { .init($0) } ?? .null,
      "relative_step": .init(relativeStep), "clip": clip.json, "schedule": .init(schedule.rawValue),
      "rule": .init(rule.rawValue), "beta1": .init(beta1), "beta2": .init(beta2),
      "weight_decay": .init(weightDecay), "averaging": .init(averaging),
      "blockwise": .init(blockwise), "first_block": .init(firstBlock),
      "sparsity": sparsity.map { .init($0) } ?? .null,
      "evaluate_every": .init(evaluateEvery), "probes": .init(probes),
      "arithmetic": .init(arithmetic.rawValue),
    ]
  }

  /// The options that JSON holds; nil when something is missing or makes no sense.
  init?(json: JSONValue) {
    self.init()
    guard let steps = json["steps"]?.int, let batch = json["batch"]?.int,
      let seed = json["seed"]?.string.flatMap(UInt64.init),
      let kinds = json["parameters"]?.array?.compactMap({
        $0.string.flatMap(ParameterKind.init)
      }),
      let form = json["form"]?.string.flatMap(ParameterForm.init),
      let relativeUnits = json["relative_units"]?.bool,
      let estimator = json["estimator"]?.string.flatMap(Estimator.init),
      let directions = json["directions"]?.int, let shared = json["shared"]?.bool,
      let distribution = json["distribution"]?.string.flatMap(Directions.Kind.init),
      let rank = json["rank"]?.int, let refresh = json["refresh"]?.int,
      let relativeStep = json["relative_step"]?.double,
      let clip = json["clip"].flatMap(Clip.init(json:)),
      let schedule = json["schedule"]?.string.flatMap(Schedule.init),
      let rule = json["rule"]?.string.flatMap(Rule.init), let beta1 = json["beta1"]?.double,
      let beta2 = json["beta2"]?.double, let weightDecay = json["weight_decay"]?.double,
      let averaging = json["averaging"]?.double, let blockwise = json["blockwise"]?.bool,
      let evaluateEvery = json["evaluate_every"]?.int, let probes = json["probes"]?.int
    else { return nil }
    self.steps = steps
    self.batch = batch
    self.seed = seed
    parameters = Set(kinds)
    self.form = form
    self.relativeUnits = relativeUnits
    self.estimator = estimator
    self.directions = directions
    self.shared = shared
    self.distribution = distribution
    self.rank = rank
    self.refresh = refresh
    epsilon = json["epsilon"]?.double
    learningRate = json["learning_rate"]?.double
    self.relativeStep = relativeStep
    self.clip = clip
    self.schedule = schedule
    self.rule = rule
    self.beta1 = beta1
    self.beta2 = beta2
    self.weightDecay = weightDecay
    self.averaging = averaging
    self.blockwise = blockwise
    // Logs of older versions have no such options.
    firstBlock = json["first_block"]?.int ?? 0
    arithmetic = json["arithmetic"]?.string.flatMap(ProductArithmetic.init) ?? .f32
    sparsity = json["sparsity"]?.double
    self.evaluateEvery = evaluateEvery
    self.probes = probes
    guard (try? validate()) != nil else { return nil }
  }
}

extension TuningOptions.Clip {
  var json: JSONValue {
    switch self {
    case .none: "none"
    case .calibrated: "calibrated"
    case .value(let bound): .init(bound)
    }
  }

  init?(json: JSONValue) {
    switch json {
    case .string("none"): self = .none
    case .string("calibrated"): self = .calibrated
    default:
      guard let bound = json.double else { return nil }
      self = .value(bound)
    }
  }
}
