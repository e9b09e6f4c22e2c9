import Models
import Objectives
import Tensors

/// The losses of a step's sides.
struct StepLosses: Sendable {
  /// One slope a direction, rounded to f32: what is logged is what is applied.
  var slopes: [Float]
  /// The mean of all sides' losses.
  var loss: Float
  var isClipped = false
  /// The mean of |L₊ − L₋|, for calibration.
  var difference: Double

  var isFinite: Bool { loss.isFinite && slopes.allSatisfy(\.isFinite) }

  /// The slopes within a bound.
  mutating func clip(to bound: Float) {
    for index in slopes.indices where abs(slopes[index]) > bound {
      slopes[index] = slopes[index] < 0 ? -bound : bound
      isClipped = true
    }
  }
}

/// Runs variants of a model on examples and says what they lose.
struct SideRunner: Sendable {
  let model: LanguageModel
  let base: any WeightProvider
  let objective: any Objective
  /// The first block that is run, and what enters it; nil: from the embeddings.
  let lower: (first: Int, states: LowerStates)?

  init(
    model: LanguageModel, base: any WeightProvider, objective: any Objective,
    lower: (first: Int, states: LowerStates)? = nil
  ) {
    self.model = model
    self.base = base
    self.objective = objective
    self.lower = lower
  }

  /// A variant's examples.
  struct Side: Sendable {
    var weights: TunedWeights
    var examples: [Int]
  }

  /// Rows of all sides that are in memory at once; more sides go one after another.
  static let rowsAtOnce = 16 * 1024

  /// The losses of some sides, in order; sides go through the blocks together.
  func losses(_ sides: [Side]) throws -> [LossSum] {
    if let generative = objective as? any GenerativeObjective {
      return try sides.map { side in
        let variant = try LanguageModel(side.weights, residency: .all, pool: model.pool)
        return try generative.loss(variant, examples: side.examples)
      }
    }
    var result: [LossSum] = []
    var first = 0
    while first < sides.count {
      var (last, rows) = (first, 0)
      var batches: [TokenBatch] = []
      while last < sides.count {
        let batch = objective.batch(sides[last].examples)
        // Sides of a pair stay together, so that their block's codes are read once.
        if last > first, (last - first) % 2 == 0, rows + batch.rows > Self.rowsAtOnce { break }
        batches.append(batch)
        rows += batch.rows
        last += 1
      }
      result += try together(Array(sides[first..<last]), batches)
      first = last
    }
    return result
  }

  private func together(_ sides: [Side], _ batches: [TokenBatch]) throws -> [LossSum] {
    // Sides of a pair, and all directions of a batch that is not shared out, start from the same.
    var entering: [[Int]: Matrix<Float>] = [:]
    if let lower {
      for side in sides where entering[side.examples] == nil {
        entering[side.examples] = try lower.states.states(side.examples)
      }
    }
    let variants = zip(sides, batches).map { side, batch in
      ModelVariant(
        weights: side.weights, batch: batch, rows: objective.rows(side.examples, of: batch),
        states: entering[side.examples])
    }
    let hidden = try model.hiddenStates(of: variants, from: lower?.first ?? 0)
    return try objective.losses(
      model,
      sides.indices.map {
        ObjectiveSide(hidden: hidden[$0], batch: batches[$0], examples: sides[$0].examples)
      })
  }

  /// The loss on all examples, at most `limit`.
  func evaluate(_ weights: TunedWeights, limit: Int? = nil) throws -> LossSum {
    let count = min(objective.count, limit ?? .max)
    let share = 16
    let sides = stride(from: 0, to: count, by: share).map { first in
      Side(weights: weights, examples: Array(first..<min(first + share, count)))
    }
    var total = LossSum()
    for first in stride(from: 0, to: sides.count, by: 8) {
      for loss in try losses(Array(sides[first..<min(first + 8, sides.count)])) { total += loss }
    }
    return total
  }
}

extension TuningState {
  /// The weights some way along a direction, or where they are.
  func weights(
    _ base: any WeightProvider, side: Float? = nil, query: Int = 0, time: Int? = nil
  ) -> TunedWeights {
    TunedWeights(
      base: base, space: space, coordinates: coordinates, directions: directions,
      offset: side.map {
        TunedWeights.Offset(
          step: $0 * constants.epsilon, time: time ?? step, query: query, block: activeBlock)
      }, arithmetic: options.arithmetic)
  }

  /// What is evaluated: the result so far, rounded as it will be stored, in f32 as every evaluation.
  func storedWeights(_ base: any WeightProvider) -> TunedWeights {
    TunedWeights(
      base: base, space: space, coordinates: result, directions: directions, offset: nil,
      asStored: true)
  }

  /// Runs a step's sides.
  ///
  /// - Parameter time: whose random numbers are used; the step itself unless probing.
  func losses(_ runner: SideRunner, time: Int? = nil) throws -> StepLosses {
    let all = runner.objective.draw(
      directions.words(count: options.batch, step: time ?? step))
    let count = options.directions
    let share = all.count / count
    func examples(of query: Int) -> [Int] {
      options.shared ? Array(all[query * share..<(query + 1) * share]) : all
    }
    var sides: [SideRunner.Side] = []
    for query in 0..<count {
      func add(side: Float) {
        sides.append(
          .init(
            weights: weights(runner.base, side: side, query: query, time: time),
            examples: examples(of: query)))
      }
      add(side: 1)
      switch options.estimator {
      case .twoSided: add(side: -1)
      case .oneSided where options.shared || query == 0:
        // Without shares the directions have one base loss in common.
        sides.append(.init(weights: weights(runner.base), examples: examples(of: query)))
      case .oneSided: break
      }
    }
    let losses = try runner.losses(sides).map(\.mean)
    return slopes(losses)
  }

  private func slopes(_ losses: [Double]) -> StepLosses {
    let epsilon = Double(constants.epsilon)
    var (slopes, differences): ([Float], Double) = ([], 0)
    for query in 0..<options.directions {
      let (plus, minus): (Double, Double)
      switch options.estimator {
      case .twoSided: (plus, minus) = (losses[2 * query], losses[2 * query + 1])
      case .oneSided where options.shared:
        (plus, minus) = (losses[2 * query], losses[2 * query + 1])
      case .oneSided: (plus, minus) = (losses[query == 0 ? 0 : query + 1], losses[1])
      }
      let width = options.estimator == .twoSided ? 2 * epsilon : epsilon
      slopes.append(Float((plus - minus) / width))
      differences += abs(plus - minus)
    }
    return StepLosses(
      slopes: slopes, loss: Float(losses.reduce(0, +) / Double(losses.count)),
      difference: differences / Double(options.directions))
  }
}
