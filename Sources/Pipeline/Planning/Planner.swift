import Architectures
import Checkpoints
import Recipes
import RunRecords
import Tensors
import Weights

/// Resolves a recipe and a model to a plan; reads names and shapes, and touches nothing.
public enum Planner {
  /// The plan of a recipe for a model.
  ///
  /// - Parameter calibration: statistics from a file, of the dense model; without them a recipe
  ///   with calibrated stages gathers its own while it runs.
  /// - Throws: `PipelineError` for everything that can be known early: selectors that match
  ///   nothing, groups that the recipe insists on, ranks and patterns that do not fit, a memory
  ///   cap that a tensor's job cannot keep; and what reading the calibration text throws.
  public static func plan(
    _ recipe: Recipe, for model: any TensorSource, options: PlanOptions,
    calibration given: CalibrationInput? = nil
  ) throws -> Plan {
    let gathers = given == nil
    let given =
      try given
      ?? (recipe.looksAhead ? .gathered(for: recipe, model, options: options) : nil)
    let recipe = try BudgetPass.expanded(
      recipe, for: model, options: options, calibration: given)
    let narrowing = try Narrowing(
      recipe, source: model, calibration: given, walk: gathers ? options : nil)
    let edits = try PlannedEdits(
      recipe, source: narrowing.source, calibration: narrowing.calibration)
    let source = edits.source
    var calibration = edits.calibration
    let names = source.tensors.map(\.name)
    let unmatched = recipe.unmatchedSelectors(names: names)
    guard unmatched.isEmpty else { throw PipelineError.unmatchedSelectors(unmatched) }
    var planned: [PlannedTensor] = []
    let classifier = TensorClassifier(source)
    var decisions: [TensorDecision] = []
    for tensor in source.tensors {
      decisions.append(
        try decide(tensor, classifier, recipe, before: edits.stages(of: tensor.name)))
    }
    try SparsityPass(source: source, calibration: calibration).settle(&decisions)
    let ranks = RankPass(source: source, pool: WorkerPool(workers: options.workers))
    if calibration == nil, ranks.needsInputs(decisions) {
      calibration = try .gathered(for: recipe, source, options: options)
    }
    try ranks.settle(&decisions, calibration: calibration)
    for (index, tensor) in source.tensors.enumerated() {
      planned.append(
        forecast(
          tensor, decisions[index], index: index, options,
          scratch: (source as? TransformedSource)?.scratchBytes(of: tensor) ?? 0))
    }
    let isCalibrated =
      narrowing.isApplied || edits.smoothing != nil || planned.contains { $0.decision.isCalibrated }
    var calibrationPlan: CalibrationPlan?
    if isCalibrated {
      if let calibration {
        for tensor in planned { try check(tensor, calibration) }
      } else {
        calibrationPlan = try CalibrationPlan(recipe, for: source, planned, options: options)
      }
    }
    let cache = try KeyValueRecord.planned(recipe, for: source)
    var plan = Plan(
      recipe: recipe, source: source, tensors: planned, forecast: Forecast(planned, options),
      warnings: warnings(recipe, planned) + warnings(of: source) + edits.warnings
        + (cache?.warning.map { [$0] } ?? []),
      options: options, calibration: isCalibrated ? calibration : nil,
      calibrationPlan: calibrationPlan)
    plan.keyValueCalibration = try KeyValueCalibration(
      recipe, for: source, planned, options: options)
    plan.keyValueCache = cache?.record
    plan.edits = edits.rotation.map { [$0] } ?? []
    plan.smoothing = edits.smoothing
    try plan.addMemory()
    return plan
  }

  /// What happens to one tensor.
  static func decide(
    _ tensor: TensorDescription, _ classifier: TensorClassifier, _ recipe: Recipe,
    before edits: [ResolvedStage] = []
  ) throws(PipelineError) -> TensorDecision {
    // A tensor whose bytes are another's is stored once, as the first of them: ties come free.
    if let first = tensor.sharesStorageWith { return .tied(to: first) }
    let selection = recipe.selection(of: tensor.name)
    let kind = classifier.kind(of: tensor)
    let view: WeightView
    switch kind {
    case .left(let reason): return .leave(reason)
    case .leftUnlessTargeted(let reason, let possible):
      guard case .targeted = selection else { return .leave(reason) }
      view = possible
    case .weight(let possible):
      view = possible
    }
    switch selection {
    case .notTargeted: return .leave(.notTargeted)
    case .ignored(let selector): return .leave(.ignored(selector: selector.text))
    case .targeted, .byDefault: break
    }
    let stages = recipe.stages(for: tensor.name)
    guard !stages.isEmpty else {
      let isSkipped = recipe.overrides(for: tensor.name).contains { $0.action == .skip }
      return .leave(isSkipped ? .skippedByOverride : .noStages)
    }
    var compression = try StageResolver.resolve(stages, view: view, tensor: tensor.name, recipe)
    compression.stages.insert(contentsOf: edits, at: 0)
    if classifier.isLookedUp(tensor, kind) {
      try compression.uncalibrate(tensor: tensor.name)
    }
    return .compress(compression)
  }

  /// Makes sure that the statistics that a tensor's stages need are there and fit.
  private static func check(_ tensor: PlannedTensor, _ calibration: CalibrationInput) throws {
    guard tensor.decision.isCalibrated, case .compress(let compression) = tensor.decision else {
      return
    }
    _ = try calibration.checkedInput(of: tensor.tensor.name, view: compression.view)
  }

  private static func forecast(
    _ tensor: TensorDescription, _ decision: TensorDecision, index: Int, _ options: PlanOptions,
    scratch: Int
  ) -> PlannedTensor {
    let stored: Int
    let peak: Int
    let seconds: Double
    switch decision {
    case .tied:
      (stored, peak, seconds) = (0, 0, 0)
    case .leave:
      stored = tensor.byteCount
      peak = StageForecast.streamingBytes(of: tensor)
      seconds = StageForecast.seconds(of: tensor, nil, hashing: options.hashing)
    case .compress(let compression):
      stored = StageForecast.storedBytes(of: compression, sourceType: tensor.dtype)
      peak = StageForecast.peakBytes(of: tensor, compression)
      seconds = StageForecast.seconds(of: tensor, compression, hashing: options.hashing)
    }
    return PlannedTensor(
      index: index, tensor: tensor, decision: decision, storedBytes: stored,
      peakBytes: peak + scratch, seconds: seconds)
  }

  private static func warnings(of source: any TensorSource) -> [String] {
    Companions(of: source).leftOut.map {
      "'\($0)' is no text and is not carried along in the artefact; keep it beside it"
    }
  }

  private static func warnings(_ recipe: Recipe, _ planned: [PlannedTensor]) -> [String] {
    var warnings = recipe.warnings.map { "\($0)" }
    let isCompressing = planned.contains {
      if case .compress = $0.decision { true } else { false }
    }
    if !isCompressing {
      warnings.append("no tensor is compressed: the artefact will hold the model as it is")
    }
    return warnings
  }
}

extension Forecast {
  /// The sums over planned tensors.
  init(_ planned: [PlannedTensor], _ options: PlanOptions) {
    self.init(
      sourceBytes: 0, storedBytes: 0, compressedElements: 0, compressedBytes: 0, peakBytes: 0,
      seconds: 0, diskBytes: 0)
    for tensor in planned {
      sourceBytes += tensor.tensor.byteCount
      storedBytes += tensor.storedBytes
      seconds += tensor.seconds
      if case .compress = tensor.decision {
        compressedElements += tensor.tensor.shape.elementCount
        compressedBytes += tensor.storedBytes
      }
    }
    let largest = planned.map(\.peakBytes).sorted(by: >).prefix(options.workers)
    peakBytes = StageForecast.baseBytes + largest.reduce(0, +)
    seconds /= Double(options.workers)
    // Parts and the assembled file exist side by side for a moment.
    diskBytes = 2 * storedBytes + (16 << 20)
  }
}
