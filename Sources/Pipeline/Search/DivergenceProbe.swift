import Architectures
import Evaluation
import Models
import Tensors
import Weights

/// Measures KL(model || changed model) on a few windows, one layer or all of them changed.
final class DivergenceProbe {
  private let model: LanguageModel
  private let weights: any WeightProvider
  private let batch: TokenBatch
  private let targets: [Int32]
  private let hidden: Matrix<Float>
  private var states: [Matrix<Float>]?

  /// - Throws: `ModelError` for tokens out of range, a model without a head.
  init(_ weights: any WeightProvider, windows: [[Int32]], pool: WorkerPool) throws {
    self.weights = weights
    model = try LanguageModel(weights, pool: pool)
    batch = TokenBatch(windows)
    // Every position has a next token but the last; the divergence does not look at it.
    targets = windows.flatMap { window in window.dropFirst() + (window.isEmpty ? [] : [-1]) }
    hidden = try model.hiddenStates(of: batch)
  }

  /// Where each weight lies in the model's blocks.
  var places: [String: Int] {
    let names = model.description.blocks.flatMap(\.linears).map(\.weight)
    return Dictionary(zip(names, names.indices)) { first, _ in first }
  }

  /// The tokens that are compared.
  var tokens: Int { targets.count { $0 >= 0 } }

  /// With some weights in place of the model's, all in one block, only what follows it is run.
  func divergence(replacing replaced: [String: CompressedWeight]) throws -> Double {
    let changed = SubstitutedWeights(weights, weights: replaced)
    let blocks = model.description.blocks.filter { block in
      block.linears.contains { replaced[$0.weight] != nil }
    }
    let inBlocks = Set(blocks.flatMap(\.linears).map(\.weight))
    guard blocks.count == 1, let block = blocks.first,
      replaced.keys.allSatisfy(inBlocks.contains)
    else {
      let other = try LanguageModel(changed, pool: model.pool)
      return try mean(other, other.hiddenStates(of: batch))
    }
    let states = try self.states ?? model.statesBeforeBlocks(of: batch)
    self.states = states
    let prepared = try PreparedBlock(block, from: changed)
    return try mean(
      model, model.hiddenStates(of: batch, replacing: prepared, before: states[block.index]))
  }

  private func mean(_ other: LanguageModel, _ found: Matrix<Float>) throws -> Double {
    let rows = try other.comparisons(of: found, with: model, hidden, targets: targets)
    let divergences = rows.compactMap { $0?.divergence }
    return divergences.reduce(0, +) / Double(max(1, divergences.count))
  }
}
