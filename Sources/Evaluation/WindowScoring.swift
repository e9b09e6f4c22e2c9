import Architectures
import Models
import Tensors
import Text

/// Scores windows with one or more models, and with a reference in the same pass.
public enum WindowScoring {
  /// Tokens that go through a model at once when memory is not limited.
  static let batchRows = 4096

  /// The scores of each model.
  ///
  /// A batch of windows at a time: the hidden states of the reference are made once a batch,
  /// logits of all models in tiles of the vocabulary.
  ///
  /// - Parameters:
  ///   - memoryLimit: hidden states of a batch take at most a quarter of it.
  ///   - progress: told how many windows are done.
  /// - Throws: `ModelError` for tokens out of range, models of different vocabularies.
  public static func run(
    _ models: [LanguageModel], reference: LanguageModel? = nil, windows: [TokenWindow],
    memoryLimit: Int? = nil, progress: (Int) -> Void = { _ in }
  ) throws -> [TokenScores] {
    var results = Array(repeating: TokenScores(), count: models.count)
    let width = (models + [reference].compactMap { $0 }).map(\.description.hiddenSize).max() ?? 1
    try forEachBatch(windows, rowBytes: 8 * width, memoryLimit: memoryLimit) { batch in
      try score(Array(windows[batch]), models, reference, into: &results)
      progress(batch.upperBound)
    }
    return results
  }

  /// Calls the closure with windows that go through a model at once.
  ///
  /// - Parameter rowBytes: what a token takes; those of a batch fill a quarter of the limit.
  static func forEachBatch(
    _ windows: [TokenWindow], rowBytes: Int, memoryLimit: Int?,
    _ body: (Range<Int>) throws -> Void
  ) throws {
    let affordable = memoryLimit.map { $0 / 4 / rowBytes } ?? .max
    var first = 0
    while first < windows.count {
      var (last, rows) = (first, 0)
      while last < windows.count,
        last == first || rows + windows[last].tokens.count <= min(batchRows, affordable)
      {
        rows += windows[last].tokens.count
        last += 1
      }
      try body(first..<last)
      first = last
    }
  }

  private static func score(
    _ windows: [TokenWindow], _ models: [LanguageModel], _ reference: LanguageModel?,
    into results: inout [TokenScores]
  ) throws {
    let batch = TokenBatch(windows.map(\.tokens))
    let targets = windows.flatMap(targets)
    let referenceHidden = try reference?.hiddenStates(of: batch)
    for (index, model) in models.enumerated() {
      let hidden = try model.hiddenStates(of: batch)
      guard let reference, let referenceHidden else {
        let scores = try model.scores(of: hidden, targets: targets, batch: batch)
        for score in scores {
          if let score { results[index].negativeLogLikelihoods.append(score.negativeLogLikelihood) }
        }
        results[index].close(windows)
        continue
      }
      let scores = try model.comparisons(
        of: hidden, with: reference, referenceHidden, targets: targets)
      for score in scores {
        guard let score else { continue }
        results[index].negativeLogLikelihoods.append(score.negativeLogLikelihood)
        results[index].referenceNegativeLogLikelihoods.append(
          score.referenceNegativeLogLikelihood)
        results[index].divergences.append(score.divergence)
        results[index].agreements.append(score.top == score.referenceTop)
      }
      results[index].close(windows)
    }
  }

  /// Per row the next token, −1 where that is not to be scored.
  static func targets(_ window: TokenWindow) -> [Int32] {
    window.tokens.indices.map { row in
      row + 1 < window.tokens.count && row + 1 >= window.firstScored ? window.tokens[row + 1] : -1
    }
  }
}

extension TokenScores {
  mutating func close(_ windows: [TokenWindow]) {
    for window in windows { offsets.append((offsets.last ?? 0) + window.scoredCount) }
  }
}
