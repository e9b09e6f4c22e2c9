import Foundation
import Models
import Objectives
import Synchronization
import Tensors
import TestSupport
import Testing
import Weights

@testable import ZerothOrder

/// Runs on the small model: what a log promises, and that tuning helps.
@Suite struct TuningTests {
  private let paths = TemporaryPaths()

  private func run(
    _ inputs: Tuning.Inputs, _ options: TuningOptions, log: String, resume: Bool = false,
    stopAfter: Int = .max
  ) throws -> Tuning.Result {
    var steps = 0
    return try Tuning.run(
      inputs, options: options, log: log, resume: resume,
      shouldStop: {
        steps += 1
        return steps > stopAfter
      })
  }

  private func bytes(_ path: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: path))
  }

  /// (1) Two workers give the log of one; (2) a run stopped and gone on with gives the same log;
  /// (3) a record that was cut off is made again; (4) replaying gives the same coordinates.
  @Test func theLogIsTheRun() throws {
    let path = paths.next("zolog")
    let options = Sample.options()
    let whole = try run(Sample.inputs(), options, log: path)
    let log = try bytes(path)

    let two = paths.next("zolog")
    let other = try run(Sample.inputs(workers: 2), options, log: two)
    #expect(other.hash == whole.hash)
    #expect(try bytes(two) == log)

    for stop in [0, 1, 5, 11] {
      let cut = paths.next("zolog")
      #expect(throws: ZerothOrderError.interrupted(path: cut, step: stop)) {
        _ = try run(Sample.inputs(), options, log: cut, stopAfter: stop)
      }
      // A kill may leave half a record.
      try (try bytes(cut) + Data([0x53, 1, 2])).write(to: URL(fileURLWithPath: cut))
      let again = try run(Sample.inputs(), options, log: cut, resume: true)
      #expect(again.hash == whole.hash)
      #expect(try bytes(cut) == log)
    }

    let read = try SeedLog(path: path)
    let base = try Sample.quantized()
    let hash = String(repeating: "0", count: 64)
    let replayed = try Tuning.replay(read, on: base, path: "nano.h5", hash: hash)
    #expect(replayed.hash == whole.hash)
    #expect(replayed.coordinates == whole.coordinates)
    let early = try Tuning.replay(read, on: base, path: "nano.h5", hash: hash, steps: 3)
    #expect(early.hash != whole.hash)
    #expect(throws: ZerothOrderError.stepsBeyondLog(path: path, asked: 13, found: 12)) {
      _ = try Tuning.replay(read, on: base, path: "nano.h5", hash: hash, steps: 13)
    }
    #expect(throws: ZerothOrderError.self) {
      _ = try Tuning.replay(read, on: base, path: "nano.h5", hash: "other")
    }
  }

  /// Distillation at 2 bits: held-out divergence falls in 120 steps, and with steps that are far too
  /// small it does not.
  @Test func tuningHelps() throws {
    var options = Sample.options(steps: 120)
    options.batch = 16
    options.directions = 16
    options.shared = true
    options.relativeStep = 0.01
    options.schedule = .cosine
    options.evaluateEvery = 120
    let result = try run(Sample.inputs(windows: 256), options, log: paths.next("zolog"))
    let losses = result.evaluations.map(\.loss)
    #expect(losses.count == 2)
    #expect(losses[1] < 0.97 * losses[0])
    options.relativeStep = 1e-4
    let idle = try run(Sample.inputs(windows: 256), options, log: paths.next("zolog"))
    #expect((idle.evaluations.last?.loss ?? 0) > 0.97 * losses[0])
  }

  @Test(arguments: TuningOptions.Rule.allCases)
  func everyRuleRuns(rule: TuningOptions.Rule) throws {
    for name in ["qzo", "qzo-paper"] {
      var options = try #require(TuningOptions.named(name))
      options.steps = 4
      options.batch = 4
      options.probes = 3
      options.rule = rule
      options.evaluateEvery = 4
      options.averaging = rule == .adam ? 0.9 : 0
      let path = paths.next("zolog")
      let result = try run(Sample.inputs(), options, log: path)
      let replayed = try Tuning.replay(
        SeedLog(path: path), on: Sample.quantized(), path: "nano.h5",
        hash: String(repeating: "0", count: 64))
      #expect(replayed.hash == result.hash)
      #expect(!result.coordinates.contains { !$0.isFinite })
    }
  }

  @Test func everyEstimatorRuns() throws {
    for (directions, shared) in [(1, false), (2, false), (2, true)] {
      for estimator in TuningOptions.Estimator.allCases {
        var options = Sample.options(steps: 2)
        options.estimator = estimator
        options.directions = directions
        options.shared = shared
        options.blockwise = directions == 2
        let result = try run(Sample.inputs(heldOut: false), options, log: paths.next("zolog"))
        #expect(result.step == 2)
        #expect(result.steps.allSatisfy { $0.slopes.count == directions && !$0.isSkipped })
      }
    }
  }

  /// One-sided and two-sided slopes agree on what is nearly linear.
  @Test func estimatorsAgree() throws {
    let inputs = try Sample.inputs()
    let runner = SideRunner(
      model: inputs.model, base: inputs.weights, objective: inputs.objective)
    var slopes: [Float] = []
    for estimator in TuningOptions.Estimator.allCases {
      var options = Sample.options()
      options.estimator = estimator
      let (space, start) = try ParameterSpace.of(
        inputs.weights, kinds: [.scales], form: .logarithmic, path: "")
      let state = TuningState(
        space: space, start: start, options: options,
        constants: .init(epsilon: 1e-3, learningRate: 0, clip: .infinity))
      slopes += try state.losses(runner).slopes
    }
    #expect(abs(slopes[0] - slopes[1]) < 0.1 * abs(slopes[0]) + 0.02)
  }

  /// A loss that is not finite changes nothing but the count.
  @Test func nonFiniteStepsAreSkipped() throws {
    var inputs = try Sample.inputs(heldOut: false)
    inputs.objective = Failing(inner: inputs.objective)
    var options = Sample.options(steps: 6)
    options.epsilon = 1e-2
    options.learningRate = 1e-2
    options.clip = .none
    let path = paths.next("zolog")
    let result = try run(inputs, options, log: path)
    #expect(result.steps.map(\.isSkipped) == [false, true, false, true, false, true])
    let log = try SeedLog(path: path)
    #expect(log.steps.count == 6)
    let first = try Tuning.replay(
      log, on: inputs.weights, path: "", hash: inputs.hash, steps: 1)
    let second = try Tuning.replay(
      log, on: inputs.weights, path: "", hash: inputs.hash, steps: 2)
    #expect(first.coordinates == second.coordinates)
    #expect(first.coordinates.contains { $0 != 0 })
  }

  /// Codes, zero points and everything else keep their bytes; scales stay positive.
  @Test func onlyScalesMove() throws {
    let inputs = try Sample.inputs(heldOut: false)
    var options = Sample.options(steps: 3)
    options.relativeStep = 0.9
    let result = try run(inputs, options, log: paths.next("zolog"))
    let tuned = TunedWeights(
      base: inputs.weights, space: result.space, coordinates: result.coordinates,
      directions: Directions(kind: .rademacher, seed: 0), offset: nil, asStored: true)
    for linear in inputs.model.description.blocks.flatMap(\.linears) {
      guard case .integer(let old)? = try inputs.weights.weight(linear).base,
        case .integer(let new)? = try tuned.weight(linear).base
      else {
        Issue.record("a base that is not integer")
        continue
      }
      #expect(old.codes.bytes === new.codes.bytes)
      #expect(old.grid == new.grid)
      #expect(new.scales.floats().allSatisfy { $0 > 0 && $0.isFinite })
      #expect(new.scales.floats() != old.scales.floats())
    }
  }

  /// With all slopes 0 every coordinate keeps its bits.
  @Test func restoringIsExact() throws {
    let base = try Sample.quantized()
    for form in ParameterForm.allCases {
      let (space, start) = try ParameterSpace.of(base, kinds: [.scales], form: form, path: "")
      var state = TuningState(
        space: space, start: start, options: Sample.options(),
        constants: .init(epsilon: 0.1, learningRate: 1, clip: .infinity))
      _ = state.weights(base, side: 1).values(0)
      for _ in 0..<5 { state.apply([0]) }
      #expect(state.coordinates.map(\.bitPattern) == start.map(\.bitPattern))
    }
  }

  @Test func badOptionsAreNamed() throws {
    var options = Sample.options()
    options.directions = 3
    options.shared = true
    #expect(throws: ZerothOrderError.self) { try options.validate() }
    let inputs = try Sample.inputs(heldOut: false)
    var dense = Sample.options(steps: 1)
    dense.parameters = [.lowRank]
    #expect(throws: ZerothOrderError.nothingToTune(path: "nano.h5", kinds: ["low_rank"])) {
      _ = try run(inputs, dense, log: paths.next("zolog"))
    }
  }
}

/// An objective whose every second pair of calls is not finite.
private final class Failing: Objective {
  let inner: any Objective
  private let calls = Mutex(0)
  let name = "failing"
  var count: Int { inner.count }

  init(inner: any Objective) { self.inner = inner }

  func sequences(_ examples: [Int]) -> [[Int32]] { inner.sequences(examples) }

  func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    let call = calls.withLock { count in
      count += 1
      return count - 1
    }
    if call / 2 % 2 == 1 { return LossSum(sum: .nan, count: 1) }
    return try inner.loss(model, hidden: hidden, batch: batch, examples: examples)
  }
}
