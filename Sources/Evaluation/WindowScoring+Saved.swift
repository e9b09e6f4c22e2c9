import Foundation
import Models
import Tensors
import Text

extension WindowScoring {
  /// The scores of a model beside what a reference said of the same windows.
  ///
  /// KL is taken over the reference's saved tokens, all others lumped into one bucket on both
  /// sides. Lumping is a map of the outcomes, so that by the data-processing inequality (Cover &
  /// Thomas, Elements of Information Theory, 2nd ed., §2.8) the result is at most the full KL, and
  /// equal to it when the whole vocabulary was saved. Log-probabilities of the text's tokens and
  /// the most likely tokens are exact.
  ///
  /// - Throws: `EvaluationError.referenceOfOtherWindows` and `.referenceMalformed`, `ModelError`.
  public static func run(
    _ model: LanguageModel, saved: SavedReference, windows: [TokenWindow],
    memoryLimit: Int? = nil, progress: (Int) -> Void = { _ in }
  ) throws -> TokenScores {
    let vocabulary = model.description.vocabularySize
    try saved.check(windows, vocabulary: vocabulary)
    var result = TokenScores()
    let whole = saved.count == vocabulary
    result.savedTokens = whole ? nil : saved.count
    let rowBytes = 8 * model.description.hiddenSize + 16 * saved.count
    try forEachBatch(windows, rowBytes: rowBytes, memoryLimit: memoryLimit) { batch in
      let part = Array(windows[batch])
      let rows = part.reduce(0) { $0 + $1.scoredCount }
      let reference = try saved.part(result.count..<result.count + rows)
      let found = try model.logProbabilities(
        ofTokens: reference.tokens, count: saved.count,
        of: model.hiddenStates(of: TokenBatch(part.map(\.tokens))),
        targets: part.flatMap(targets))
      for row in 0..<rows {
        let range = row * saved.count..<(row + 1) * saved.count
        result.negativeLogLikelihoods.append(found.scores[row].negativeLogLikelihood)
        result.referenceNegativeLogLikelihoods.append(-reference.targets[row])
        result.agreements.append(found.scores[row].top == reference.tokens[range.lowerBound])
        result.divergences.append(
          LumpedDivergence.value(
            reference.logProbabilities[range], found.logProbabilities[range], whole: whole))
      }
      result.close(part)
      progress(batch.upperBound)
    }
    return result
  }
}

/// KL(p ‖ q) over some outcomes and one bucket of all others.
enum LumpedDivergence {
  /// What sums of probabilities rounded to f32 may miss 1 by.
  private static let rounding = 1e-6

  /// - Parameters:
  ///   - p: log-probabilities; `q` those of the other side, of the same outcomes.
  ///   - whole: there are no others.
  /// - Returns: nats, at least 0.
  static func value(_ p: ArraySlice<Float>, _ q: ArraySlice<Float>, whole: Bool) -> Double {
    var (sum, pMass, qMass) = (0.0, 0.0, 0.0)
    for (a, b) in zip(p, q) {
      let probability = exp(Double(a))
      pMass += probability
      qMass += exp(Double(b))
      // 0 · log 0 is 0.
      if probability > 0 { sum += probability * (Double(a) - Double(b)) }
    }
    if !whole, pMass < 1 {
      // A rest of q that rounding swallowed is taken as larger than it is: still a lower bound.
      let (pRest, qRest) = (1 - pMass, max(1 - qMass, rounding))
      sum += pRest * log(max(pRest, .leastNonzeroMagnitude) / qRest)
    }
    return max(0, sum)
  }
}
