import Digests
import Foundation
import Models
import Objectives
import Tensors

/// Tuning with forward passes only, its log, and replaying it.
public enum Tuning {
  /// What a run works on.
  public struct Inputs: Sendable {
    /// The model as it is; its head, embeddings and workers serve all variants.
    public var model: LanguageModel
    /// Its weights, held (`HeldWeights`) or read block by block.
    public var weights: any WeightProvider
    /// The file, for messages, and its SHA-256.
    public var path: String
    public var hash: String
    public var objective: any Objective
    /// Never learnt from; decides which state is kept.
    public var heldOut: (any Objective)?
    /// What the examples are, in words; a log goes on only with the same.
    public var data: String
    /// Version and numeric path.
    public var tool: String
    /// The most bytes of states below the first tuned block that are held in memory.
    public var stateBytes = 1 << 30

    public init(
      model: LanguageModel, weights: any WeightProvider, path: String, hash: String,
      objective: any Objective, heldOut: (any Objective)?, data: String, tool: String
    ) {
      self.model = model
      self.weights = weights
      self.path = path
      self.hash = hash
      self.objective = objective
      self.heldOut = heldOut
      self.data = data
      self.tool = tool
    }
  }

  /// How far a run is.
  public struct Progress: Sendable {
    public var step: Int
    public var total: Int
    public var loss: Float
    public var evaluation: SeedLog.Evaluation?
    public var stepsPerSecond: Double
  }

  /// The state that is kept.
  public struct Result: Sendable {
    public var space: ParameterSpace
    /// The coordinates that are written.
    public var coordinates: [Float]
    public var header: SeedLogHeader
    /// The step whose state it is.
    public var step: Int
    public var steps: [SeedLog.Step]
    public var evaluations: [SeedLog.Evaluation]
    /// SHA-256 of the coordinates.
    public var hash: String
    public var stepsPerSecond: Double
  }

  /// Tunes, or goes on with a log.
  ///
  /// (1) With the same inputs and options the log has the same bytes, for any number of workers,
  /// whether it was interrupted or not; (2) the kept state is the one with the least held-out
  /// loss, the start among them, or the last one without a held-out set; (3) a step whose loss is
  /// not finite changes nothing.
  ///
  /// - Parameters:
  ///   - resume: whether a log that is there is gone on with.
  ///   - shouldStop: asked between steps.
  /// - Throws: `ZerothOrderError`; `.interrupted` when it was asked to stop.
  public static func run(
    _ inputs: Inputs, options: TuningOptions, log path: String, resume: Bool = false,
    shouldStop: () -> Bool = { false }, progress: (Progress) -> Void = { _ in }
  ) throws -> Result {
    try options.validate()
    var (space, start) = try ParameterSpace.of(
      inputs.weights, kinds: options.parameters, form: options.form, sparsity: options.sparsity,
      from: options.firstBlock, path: inputs.path)
    func sideRunner(_ objective: any Objective) throws -> SideRunner {
      let first = options.firstBlock
      let needsLower = first > 0 && !(objective is any GenerativeObjective)
      return SideRunner(
        model: inputs.model, base: inputs.weights, objective: objective,
        lower: needsLower
          ? (
            first,
            try LowerStates(
              inputs.model, inputs.weights, of: objective, below: first,
              memoryLimit: inputs.stateBytes)
          ) : nil)
    }
    let runner = try sideRunner(inputs.objective)
    let old = resume ? try SeedLog(path: path) : nil
    let header: SeedLogHeader
    if let old {
      try check(old, inputs, options)
      header = old.header
      try header.settle(&space, path: path)
    } else {
      space.setUnits(relative: options.relativeUnits, coordinates: start)
      let blank = TuningConstants(epsilon: 0, learningRate: 0, clip: .infinity)
      let constants = try TuningCalibration.constants(
        TuningState(space: space, start: start, options: options, constants: blank), runner)
      header = SeedLogHeader(
        baseHash: inputs.hash, tool: inputs.tool, options: options, constants: constants,
        objective: inputs.objective.name, data: inputs.data, space: space)
    }
    let writer =
      try old.map { log throws(ZerothOrderError) in try SeedLogWriter(continuing: log) }
      ?? SeedLogWriter(path: path, header: header)
    var course = Course(
      state: TuningState(space: space, start: start, options: options, constants: header.constants))
    if let old { course.replay(old, until: old.steps.count, pool: inputs.model.pool) }
    let judge = try inputs.heldOut.map { try sideRunner($0) }
    let clock = ContinuousClock()
    let (begin, firstStep) = (clock.now, course.state.step)
    var rate = 0.0
    while true {
      let step = course.state.step
      if let judge, course.needsEvaluation {
        let loss = try judge.evaluate(course.state.storedWeights(inputs.weights))
        let evaluation = SeedLog.Evaluation(step: step, loss: loss.mean, accuracy: loss.accuracy)
        try writer.append(evaluation)
        course.note(evaluation)
        progress(
          Progress(
            step: step, total: options.steps, loss: course.steps.last?.loss ?? .nan,
            evaluation: evaluation, stepsPerSecond: rate))
      }
      guard step < options.steps else { break }
      guard !shouldStop() else { throw ZerothOrderError.interrupted(path: path, step: step) }
      let record = try takeStep(&course.state, runner)
      try writer.append(record, number: step)
      course.steps.append(record)
      guard course.state.skipped < 30 else {
        throw ZerothOrderError.neverFinite(steps: course.state.skipped)
      }
      let seconds = (clock.now - begin) / .seconds(1)
      rate = Double(course.state.step - firstStep) / max(seconds, 1e-9)
      progress(
        Progress(
          step: course.state.step, total: options.steps, loss: record.loss, evaluation: nil,
          stepsPerSecond: rate))
    }
    let kept = course.kept
    let hash = Self.hash(kept.coordinates)
    if old?.end == nil { try writer.appendEnd(step: kept.step, hash: hash) }
    return Result(
      space: space, coordinates: kept.coordinates, header: header, step: kept.step,
      steps: course.steps, evaluations: course.evaluations, hash: hash, stepsPerSecond: rate)
  }

  private static func takeStep(
    _ state: inout TuningState, _ runner: SideRunner
  ) throws -> SeedLog.Step {
    var losses = try state.losses(runner)
    guard losses.isFinite else {
      state.skip()
      return SeedLog.Step(
        isSkipped: true, isClipped: false, loss: losses.loss,
        slopes: losses.slopes.map { _ in 0 })
    }
    losses.clip(to: state.constants.clip)
    state.apply(losses.slopes, pool: runner.model.pool)
    return SeedLog.Step(
      isSkipped: false, isClipped: losses.isClipped, loss: losses.loss, slopes: losses.slopes)
  }

  private static func check(
    _ log: SeedLog, _ inputs: Inputs, _ options: TuningOptions
  ) throws(ZerothOrderError) {
    let header = log.header
    guard header.baseHash == inputs.hash else {
      throw .logOfOtherBase(path: log.path, found: inputs.hash, expected: header.baseHash)
    }
    let pairs = [
      ("options", header.options.json.text(.canonical), options.json.text(.canonical)),
      ("objective", header.objective, inputs.objective.name), ("data", header.data, inputs.data),
      ("tool", header.tool, inputs.tool),
    ]
    for (what, found, expected) in pairs where found != expected {
      throw .logOfOtherRun(path: log.path, what: what, found: found, expected: expected)
    }
  }

  /// The state that a log leads to.
  ///
  /// - Parameter steps: so many steps; nil takes the state that the run kept.
  /// - Throws: `ZerothOrderError.logOfOtherBase`, `.stepsBeyondLog`, `.replayDiffers`.
  public static func replay(
    _ log: SeedLog, on weights: any WeightProvider, path: String, hash: String,
    steps: Int? = nil, pool: WorkerPool = .serial
  ) throws -> Result {
    let header = log.header
    guard header.baseHash == hash else {
      throw ZerothOrderError.logOfOtherBase(path: log.path, found: hash, expected: header.baseHash)
    }
    let step = steps ?? log.end?.step ?? log.best?.step ?? log.steps.count
    guard step <= log.steps.count, step >= 0 else {
      throw ZerothOrderError.stepsBeyondLog(path: log.path, asked: step, found: log.steps.count)
    }
    var (space, start) = try ParameterSpace.of(
      weights, kinds: header.options.parameters, form: header.options.form,
      from: header.options.firstBlock, path: path)
    try header.settle(&space, path: log.path)
    var course = Course(
      state: TuningState(
        space: space, start: start, options: header.options, constants: header.constants))
    course.replay(log, until: step, pool: pool)
    let coordinates = course.state.result
    let found = Self.hash(coordinates)
    if let end = log.end, end.step == step, end.hash != found {
      throw ZerothOrderError.replayDiffers(path: log.path, found: found, expected: end.hash)
    }
    return Result(
      space: space, coordinates: coordinates, header: header, step: step,
      steps: Array(log.steps.prefix(step)),
      evaluations: log.evaluations.filter { $0.step <= step }, hash: found, stepsPerSecond: 0)
  }

  static func hash(_ coordinates: [Float]) -> String {
    coordinates.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
  }
}

/// A run so far: where it is, what it has seen, and the best of it.
struct Course {
  var state: TuningState
  var steps: [SeedLog.Step] = []
  private(set) var evaluations: [SeedLog.Evaluation] = []
  private var best: (evaluation: SeedLog.Evaluation, coordinates: [Float])?

  init(state: TuningState) { self.state = state }

  /// Whether the state is due for an evaluation that it has not had.
  var needsEvaluation: Bool {
    let step = state.step
    let isDue = step % state.options.evaluateEvery == 0 || step == state.options.steps
    return isDue && evaluations.last?.step != step
  }

  mutating func note(_ evaluation: SeedLog.Evaluation) {
    evaluations.append(evaluation)
    guard evaluation.loss.isFinite, evaluation.loss < best?.evaluation.loss ?? .infinity else {
      return
    }
    best = (evaluation, state.result)
  }

  /// Takes a log's steps again, without running the model.
  mutating func replay(_ log: SeedLog, until end: Int, pool: WorkerPool) {
    var next = log.evaluations.makeIterator()
    var pending = next.next()
    func takeEvaluations(_ course: inout Course) {
      while let evaluation = pending, evaluation.step <= course.state.step {
        course.note(evaluation)
        pending = next.next()
      }
    }
    takeEvaluations(&self)
    for record in log.steps.prefix(end) {
      if record.isSkipped { state.skip() } else { state.apply(record.slopes, pool: pool) }
      steps.append(record)
      takeEvaluations(&self)
    }
  }

  /// What is kept: the best state that was evaluated, else the last.
  var kept: (step: Int, coordinates: [Float]) {
    best.map { ($0.evaluation.step, $0.coordinates) } ?? (state.step, state.result)
  }
}
