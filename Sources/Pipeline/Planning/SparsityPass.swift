import Allocation
import Architectures
import Checkpoints
import Foundation
import Pruning
import Quantization
import Recipes
import Tensors
import Weights

/// Hands a sparsity out over the weights of a model, before anything is pruned.
///
/// The only part of planning that reads weights, and only for recipes that ask for it. A weight's
/// share is a function of the model, the statistics and the recipe alone.
struct SparsityPass {
  let source: any TensorSource
  let calibration: CalibrationInput?

  /// Outputs of each weight whose error is measured: enough for a curve.
  static let sampledRows = 128
  /// The distance of the tried fractions, and how far they reach to both sides.
  static let step = 0.05
  static let reach = 0.3

  /// One weight whose stages ask for a share.
  private struct Candidate {
    let index: Int
    let tensor: TensorDescription
    let view: WeightView
    let stage: Int
    let choice: PruneChoice
    let fraction: Double

    var count: Int { view.rows * view.columns }
  }

  /// Settles the fractions of all prune stages that are handed out.
  ///
  /// - Throws: `PipelineError`.
  func settle(_ decisions: inout [TensorDecision]) throws {
    for allocation in PruneOptions.Allocation.allCases where allocation != .uniform {
      let found = candidates(decisions, allocation)
      guard !found.isEmpty else { continue }
      let fractions: [Double]
      switch allocation {
      case .uniform: continue
      case .erk: fractions = byShape(found)
      case .global: fractions = try byThreshold(found)
      case .adaptive: fractions = try byError(found)
      }
      for (candidate, fraction) in zip(found, fractions) {
        guard case .compress(var compression) = decisions[candidate.index] else { continue }
        var choice = candidate.choice
        if case .fraction(_, let scope) = choice.amount {
          choice.amount = .fraction(fraction, of: scope)
        }
        compression.stages[candidate.stage] = .prune(choice)
        decisions[candidate.index] = .compress(compression)
      }
    }
  }

  private func candidates(
    _ decisions: [TensorDecision], _ allocation: PruneOptions.Allocation
  ) -> [Candidate] {
    var result: [Candidate] = []
    for (index, decision) in decisions.enumerated() {
      guard case .compress(let compression) = decision else { continue }
      for (number, stage) in compression.stages.enumerated() {
        guard case .prune(let choice) = stage, choice.allocation == allocation,
          case .fraction(let fraction, _) = choice.amount
        else { continue }
        result.append(
          Candidate(
            index: index, tensor: source.tensors[index], view: compression.view, stage: number,
            choice: choice, fraction: fraction))
      }
    }
    return result
  }

  /// Entries that all candidates keep together.
  private func budget(_ candidates: [Candidate]) -> Int {
    candidates.reduce(0) {
      $0 + $1.count - SparsityClaim.dropped(of: $1.count, fraction: $1.fraction)
    }
  }

  private func byShape(_ candidates: [Candidate]) -> [Double] {
    let total = candidates.reduce(0) { $0 + $1.count }
    let densities = ErdosRenyi.densities(
      shapes: candidates.map { [$0.view.rows, $0.view.columns] },
      density: max(Double(budget(candidates)) / Double(max(total, 1)), 1e-9))
    return densities.map { 1 - $0 }
  }

  private func values(_ candidate: Candidate) throws -> Matrix<Float> {
    do {
      return candidate.view.matrix(from: try source.load(candidate.tensor).floats())
    } catch {
      throw PipelineError.stage(
        file: source.path, tensor: candidate.tensor.name, reason: "\(error)")
    }
  }

  /// The share of each weight below the threshold that leaves the asked-for sum.
  private func byThreshold(_ candidates: [Candidate]) throws -> [Double] {
    let keep = budget(candidates)
    var drop = candidates.reduce(0) { $0 + $1.count } - keep
    // The upper half of the patterns of |w|, then the lower half inside the bucket that decides.
    var high = [Int](repeating: 0, count: 1 << 16)
    for candidate in candidates {
      for value in try values(candidate).values {
        high[Int(value.magnitude.bitPattern >> 16)] += 1
      }
    }
    func bucket(_ histogram: [Int]) -> Int {
      for (index, count) in histogram.enumerated() {
        if drop < count { return index }
        drop -= count
      }
      return histogram.count
    }
    let top = bucket(high)
    var low = [Int](repeating: 0, count: 1 << 16)
    for candidate in candidates {
      for value in try values(candidate).values
      where Int(value.magnitude.bitPattern >> 16) == top {
        low[Int(value.magnitude.bitPattern & 0xFFFF)] += 1
      }
    }
    let threshold = UInt64(top) << 16 | UInt64(bucket(low))
    var fractions: [Double] = []
    for candidate in candidates {
      let below = try values(candidate).values.reduce(0) {
        $0 + (UInt64($1.magnitude.bitPattern) < threshold ? 1 : 0)
      }
      fractions.append(Double(below) / Double(candidate.count))
    }
    return fractions
  }

  /// The least sum of relative output errors, measured with the choice by weight and input, each
  /// counted with its weight's entries and with what is behind it.
  private func byError(_ candidates: [Candidate]) throws -> [Double] {
    guard let calibration else {
      let first = candidates[0]
      throw PipelineError.statisticsNeeded(
        tensor: first.tensor.name, rows: first.view.rows, columns: first.view.columns)
    }
    var units: [[Choice]] = []
    var tried: [[Double]] = []
    let numbers = candidates.map { Self.block(of: $0.tensor.name) }
    let blocks = (numbers.compactMap { $0 }.max() ?? 0) + 1
    for (candidate, number) in zip(candidates, numbers) {
      let share =
        Self.share(block: number, of: blocks) * pow(Double(candidate.count), Self.sizeExponent)
      let input = try calibration.checkedInput(of: candidate.tensor.name, view: candidate.view)
      let fractions = Self.fractions(around: candidate.fraction)
      let losses: [Double]
      do {
        losses = try Self.losses(try values(candidate), input, fractions)
      } catch {
        throw PipelineError.stage(
          file: source.path, tensor: candidate.tensor.name, reason: "\(error)")
      }
      tried.append(fractions)
      units.append(
        zip(fractions, losses).map { fraction, loss in
          Choice(
            cost: candidate.count - SparsityClaim.dropped(of: candidate.count, fraction: fraction),
            loss: loss * share)
        })
    }
    do {
      let solution = try Knapsack.solve(units, budget: budget(candidates))
      return zip(solution.choices, tried).map { $1[$0] }
    } catch {
      throw PipelineError.stage(
        file: source.path, tensor: candidates[0].tensor.name, reason: "\(error)")
    }
  }

  /// The number of a weight's block, the first number in its name.
  static func block(of name: String) -> Int? {
    name.split(separator: ".").lazy.compactMap { Int($0) }.first
  }

  /// Errors count with this power of a weight's entries: between one error a weight, by which small
  /// weights hardly lose anything, and one an entry.
  static let sizeExponent = 0.75

  /// How much an error in a block counts: what is lost early goes through all blocks that follow.
  ///
  /// Measured (docs/quality.md): with equal shares SmolLM2 is no better than with equal sparsities,
  /// and much worse with later blocks counting more.
  static func share(block: Int?, of blocks: Int) -> Double {
    1 + Double(blocks - 1 - (block ?? blocks - 1)) / 16
  }

  /// The fractions that are tried, the asked-for one among them.
  private static func fractions(around fraction: Double) -> [Double] {
    let steps = Int((reach / step).rounded())
    return (-steps...steps).map { fraction + Double($0) * step }
      .filter { $0 == fraction || ($0 > 0 && $0 <= 0.95) }
  }

  /// tr(D·H·Dᵀ)/tr(W·H·Wᵀ) of some rows for each fraction, the loudest directions of H tamed.
  private static func losses(
    _ weight: Matrix<Float>, _ input: InputStatistics, _ fractions: [Double]
  ) throws -> [Double] {
    guard let gram = input.gram else { return fractions.map { _ in 0 } }
    let stride = max(1, weight.rows / sampledRows)
    let rows = Swift.stride(from: 0, to: weight.rows, by: stride).flatMap { row in
      weight.values[weight.range(ofRow: row)]
    }
    let sample = Matrix(
      rows: rows.count / max(weight.columns, 1), columns: weight.columns, values: Array(rows))
    let tamed = try TamedGram(gram)
    let energy = try tamed.energy(of: sample)
    return try fractions.map { fraction in
      let pruned = try Wanda.prune(
        .dense(sample), squares: input.squareSums, amount: .fraction(fraction, of: .row))
      let left = pruned.decodedBase().values
      let lost = Matrix(
        rows: sample.rows, columns: sample.columns,
        values: zip(sample.values, left).map { $0 - $1 })
      let error = try tamed.energy(of: lost)
      return energy > 0 ? error / energy : error
    }
  }
}
