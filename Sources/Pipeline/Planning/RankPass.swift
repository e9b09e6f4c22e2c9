import Architectures
import Checkpoints
import LowRank
import Tensors
import Weights

/// Hands ranks out over the weights of a model, before anything is decomposed.
///
/// For stages with `allocation: adaptive` alone: the stages before them are run on every weight, and
/// the singular values of what they leave, weighed as the method weighs, say what each rank is
/// worth. All weights together spend the numbers that the recipe's rank for each would have taken,
/// the largest gain for a number first (`RankAllocation`). A function of the model, the statistics
/// and the recipe alone.
struct RankPass {
  let source: any TensorSource
  let pool: WorkerPool

  /// How many times the recipe's rank a weight may get.
  static let reach = 4

  private struct Candidate {
    let index: Int
    let stage: Int
    let compression: TensorDecision.Compression
    let choice: LowRankChoice
    let rank: Int

    var cost: Int { compression.view.rows + compression.view.columns }
    var limit: Int {
      min(compression.view.rows, compression.view.columns, RankPass.reach * rank)
    }
    /// What replaces or splits a weight needs a rank; a repair may do without.
    var least: Int { choice.role == .repair ? 0 : 1 }
    /// The stages before the one that is handed out.
    var before: TensorDecision.Compression {
      var before = compression
      before.stages = Array(before.stages[..<stage])
      return before
    }
    var needsInputs: Bool {
      choice.isCalibrated || before.stages.contains(where: \.isCalibrated)
    }
  }

  /// Whether curves depend on the inputs of weights.
  func needsInputs(_ decisions: [TensorDecision]) -> Bool {
    candidates(decisions).contains(where: \.needsInputs)
  }

  /// Settles the ranks of all stages that are handed out.
  ///
  /// - Throws: `PipelineError`.
  func settle(_ decisions: inout [TensorDecision], calibration: CalibrationInput?) throws {
    let found = candidates(decisions)
    guard !found.isEmpty else { return }
    let curves = try pool.map(found.count) { try curve(found[$0], calibration) }
    let budget = zip(found, curves).reduce(0) { $0 + ($1.0.rank - $1.0.least) * $1.0.cost }
    let ranks: [Int]
    do {
      ranks = try RankAllocation.greedy(
        curves: zip(found, curves).map { Array($1.dropFirst($0.least)) },
        costs: found.map(\.cost), budget: budget)
    } catch {
      throw failed(found[0], error)
    }
    for (candidate, extra) in zip(found, ranks) {
      var compression = candidate.compression
      if candidate.least + extra == 0 {
        compression.stages.remove(at: candidate.stage)
        compression.notes.append("no rank: others gain more from it")
      } else {
        var choice = candidate.choice
        choice.rank = .fixed(candidate.least + extra)
        choice.isAllocated = false
        compression.stages[candidate.stage] = .lowRank(choice)
      }
      decisions[candidate.index] = .compress(compression)
    }
  }

  private func candidates(_ decisions: [TensorDecision]) -> [Candidate] {
    decisions.enumerated().compactMap { index, decision in
      guard case .compress(let compression) = decision else { return nil }
      for (number, stage) in compression.stages.enumerated() {
        if case .lowRank(let choice) = stage, choice.isAllocated,
          case .fixed(let rank) = choice.rank
        {
          return Candidate(
            index: index, stage: number, compression: compression, choice: choice, rank: rank)
        }
      }
      return nil
    }
  }

  private func curve(
    _ candidate: Candidate, _ calibration: CalibrationInput?
  ) throws -> [Double] {
    let tensor = source.tensors[candidate.index]
    let view = candidate.compression.view
    var statistics: InputStatistics?
    if candidate.needsInputs {
      guard let calibration else {
        throw PipelineError.statisticsNeeded(
          tensor: tensor.name, rows: view.rows, columns: view.columns)
      }
      statistics = try calibration.checkedInput(of: tensor.name, view: view)
    }
    do {
      let original = view.matrix(from: try source.load(tensor).floats())
      var ignored: [String] = []
      let weight = try StageRunner.run(
        original, candidate.before, sourceType: tensor.dtype, tensor: tensor.name,
        statistics: statistics,
        pool: .serial, notes: &ignored)
      return try LowRankStage.curve(
        candidate.choice, on: weight, original: original,
        statistics: StageRunner.lowRankStatistics(
          candidate.choice, weight, tensor: tensor.name, statistics),
        limit: candidate.limit)
    } catch {
      throw failed(candidate, error)
    }
  }

  private func failed(_ candidate: Candidate, _ error: any Error) -> PipelineError {
    (error as? PipelineError)
      ?? .stage(
        file: source.path, tensor: source.tensors[candidate.index].name, reason: "\(error)")
  }
}
