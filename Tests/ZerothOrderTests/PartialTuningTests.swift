import Models
import Objectives
import Tensors
import TestSupport
import Testing
import Weights

@testable import Text
@testable import ZerothOrder

/// Runs that move only a part: the upper blocks, zero points.
@Suite struct PartialTuningTests {
  private let paths = TemporaryPaths()

  /// States below the first tuned block, made once, give the losses of a whole pass, in memory and
  /// in a file.
  @Test(arguments: [1 << 30, 0])
  func lowerBlocksAreRunOnce(memoryLimit: Int) throws {
    let inputs = try Sample.inputs()
    let lower = try LowerStates(
      inputs.model, inputs.weights, of: inputs.objective, below: 1, memoryLimit: memoryLimit)
    var options = Sample.options()
    options.firstBlock = 1
    let (space, start) = try ParameterSpace.of(
      inputs.weights, kinds: [.scales, .norms], form: .logarithmic, from: 1, path: "")
    #expect(space.parameters.allSatisfy { $0.block != 0 })
    #expect(Set(space.parameters.map(\.block)) == [1, nil])
    let state = TuningState(
      space: space, start: start, options: options,
      constants: .init(epsilon: 1e-2, learningRate: 0, clip: .infinity))
    func losses(_ lower: (first: Int, states: LowerStates)?) throws -> StepLosses {
      try state.losses(
        SideRunner(
          model: inputs.model, base: inputs.weights, objective: inputs.objective, lower: lower))
    }
    let (whole, upper) = (try losses(nil), try losses((1, lower)))
    #expect(abs(whole.loss - upper.loss) < 1e-4)
    #expect(abs(whole.slopes[0] - upper.slopes[0]) < 0.02 * abs(whole.slopes[0]) + 1e-3)
    #expect(abs(whole.slopes[0]) > 0.05)
  }

  @Test func upperBlocksAreTunedAndReplayed() throws {
    var options = Sample.options(steps: 6)
    options.firstBlock = 1
    var (hashes, logs): (Set<String>, [String]) = ([], [])
    for (workers, bytes) in [(1, 1 << 30), (2, 0)] {
      var inputs = try Sample.inputs(workers: workers)
      inputs.stateBytes = bytes
      logs.append(paths.next("zolog"))
      hashes.insert(try Tuning.run(inputs, options: options, log: logs.last ?? "").hash)
    }
    #expect(hashes.count == 1)
    let base = try Sample.quantized()
    let replayed = try Tuning.replay(
      SeedLog(path: logs[0]), on: base, path: "nano.h5",
      hash: String(repeating: "0", count: 64))
    #expect(hashes == [replayed.hash])
    options.firstBlock = 3
    #expect(throws: ZerothOrderError.self) {
      _ = try Tuning.run(Sample.inputs(), options: options, log: paths.next("zolog"))
    }
  }

  /// Behind the last block only the final norm moves, and no step runs a block: the losses are
  /// those of whole passes, and the run can be replayed.
  @Test func theFinalNormAloneIsTuned() throws {
    let inputs = try Sample.inputs()
    let behind = inputs.model.description.blocks.count
    var options = Sample.options(steps: 30)
    options.parameters = [.norms]
    options.firstBlock = behind
    (options.directions, options.relativeStep) = (8, 0.05)
    let path = paths.next("zolog")
    let result = try Tuning.run(inputs, options: options, log: path)
    #expect(result.space.parameters.map(\.block) == [nil])
    #expect(result.step > 0)
    let kept = try #require(result.evaluations.first { $0.step == result.step })
    #expect(kept.loss < (result.evaluations.first?.loss ?? 0))
    let tuned = TunedWeights(
      base: inputs.weights, space: result.space, coordinates: result.coordinates,
      directions: Directions(kind: .rademacher, seed: 0), offset: nil, asStored: true)
    let whole = try SideRunner(
      model: inputs.model, base: inputs.weights, objective: #require(inputs.heldOut)
    ).evaluate(tuned)
    #expect(abs(whole.mean - kept.loss) < 1e-4)
    let replayed = try Tuning.replay(
      SeedLog(path: path), on: inputs.weights, path: "", hash: inputs.hash)
    #expect(replayed.hash == result.hash)
    options.parameters = [.scales]
    #expect(throws: ZerothOrderError.self) {
      _ = try Tuning.run(inputs, options: options, log: paths.next("zolog"))
    }
  }

  /// Where no block is left to run only the rows that the loss reads are kept, and give its value.
  @Test func rowsThatAreReadAreKept() throws {
    let inputs = try Sample.inputs()
    let prompts = try Sample.windows(3).enumerated().map { Array($1[..<(12 + 3 * $0)]) }
    let items = prompts.enumerated().map { index, prompt in
      ScoringItem(
        sequences: [prompt + [40, 60], prompt + [50]],
        optionStarts: [prompt.count, prompt.count], label: index % 2)
    }
    let objective = try OptionChoice(items: items, source: "")
    let behind = inputs.model.description.blocks.count
    let lower = try LowerStates(
      inputs.model, inputs.weights, of: objective, below: behind, memoryLimit: 1 << 30)
    let examples = [2, 0, 1, 2]
    let states = try lower.states(examples)
    let batch = objective.batch(examples)
    let rows = try #require(objective.rows(examples, of: batch))
    #expect(states.rows == batch.rows)
    for row in 0..<states.rows {
      let isZero = states.values[states.range(ofRow: row)].allSatisfy { $0 == 0 }
      #expect(isZero != rows.contains(row))
    }
    func loss(_ lower: (first: Int, states: LowerStates)?) throws -> Double {
      let runner = SideRunner(
        model: inputs.model, base: inputs.weights, objective: objective, lower: lower)
      let (space, start) = try ParameterSpace.of(
        inputs.weights, kinds: [.norms], form: .absolute, from: behind, path: "")
      let weights = TunedWeights(
        base: inputs.weights, space: space, coordinates: start,
        directions: Directions(kind: .rademacher, seed: 0), offset: nil)
      return try runner.losses([.init(weights: weights, examples: examples)])[0].mean
    }
    #expect(abs(try loss(nil) - loss((behind, lower))) < 1e-5)
  }

  /// Zero points move by whole steps and stay on their grid; codes and scales keep their bytes.
  @Test func zeroPointsMove() throws {
    let inputs = try Sample.inputs(heldOut: false)
    var options = Sample.options(steps: 8)
    options.parameters = [.zeros]
    options.distribution = .gaussian
    options.relativeStep = 0.2
    let path = paths.next("zolog")
    let result = try Tuning.run(inputs, options: options, log: path)
    #expect(result.steps.contains { $0.slopes[0] != 0 })
    let replayed = try Tuning.replay(
      SeedLog(path: path), on: inputs.weights, path: "", hash: inputs.hash)
    #expect(replayed.coordinates == result.coordinates)
    let tuned = TunedWeights(
      base: inputs.weights, space: result.space, coordinates: result.coordinates,
      directions: Directions(kind: .rademacher, seed: 0), offset: nil, asStored: true)
    var changed = 0
    for linear in inputs.model.description.blocks.flatMap(\.linears) {
      guard case .integer(let old)? = try inputs.weights.weight(linear).base,
        case .integer(let new)? = try tuned.weight(linear).base
      else {
        Issue.record("a base that is not integer")
        continue
      }
      #expect(old.codes.bytes === new.codes.bytes)
      #expect(old.scales.floats() == new.scales.floats())
      try tuned.weight(linear).validate()
      for row in stride(from: 0, to: old.rows, by: 7) {
        let (before, after) = (old.point(row, 0).zero, new.point(row, 0).zero)
        #expect((0...3).contains(after))
        if before != after { changed += 1 }
      }
    }
    #expect(changed > 0)
  }
}
