import Models
import Tensors
import Text

/// Classification and multiple choice: cross entropy over a record's options.
///
/// An option's score is the mean of its tokens' log p; the loss is the cross entropy of the softmax
/// over the options' scores (MeZO's large-model code). Options of one token after the same prompt
/// share one sequence, and only their own logits are made: the normalizer cancels.
public struct OptionChoice: Objective {
  public let name = "options"
  public let items: [ScoringItem]
  public var count: Int { items.count }
  private let isShared: [Bool]

  /// - Parameter items: prompts with their options, each with its label.
  /// - Throws: `ObjectivesError.noExamples`, or `.noLabel` for a record without a label.
  public init(items: [ScoringItem], source: String) throws(ObjectivesError) {
    guard !items.isEmpty else { throw .noExamples(source: source) }
    for (index, item) in items.enumerated() {
      guard let label = item.label, item.sequences.indices.contains(label) else {
        throw .noLabel(source: source, record: index + 1)
      }
    }
    self.items = items
    isShared = items.map { item in
      let prompt = item.sequences.first?.dropLast()
      return item.sequences.indices.allSatisfy {
        item.sequences[$0].dropLast() == prompt
          && item.optionStarts[$0] == item.sequences[$0].count - 1
      }
    }
  }

  public func sequences(_ examples: [Int]) -> [[Int32]] {
    examples.flatMap { index -> [[Int32]] in
      let item = items[index]
      return isShared[index] ? [Array(item.sequences[0].dropLast())] : item.sequences
    }
  }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    let scores = try scores(model, hidden, batch, examples)
    var result = LossSum()
    for (scores, index) in zip(scores, examples) {
      guard let label = items[index].label, let largest = scores.max() else { continue }
      let sum = scores.reduce(0) { $0 + exponential($1 - largest) }
      result.sum += largest + naturalLogarithm(sum) - scores[label]
      result.count += 1
      result.cases += 1
      if scores.firstIndex(of: largest) == label { result.hits += 1 }
    }
    return result
  }

  /// Per example and option the mean log p of the option's tokens; for shared prompts, logits.
  private func scores(
    _ model: LanguageModel, _ hidden: Matrix<Float>, _ batch: TokenBatch, _ examples: [Int]
  ) throws -> [[Double]] {
    var result: [[Double]] = Array(repeating: [], count: examples.count)
    var targets = Array(repeating: Int32(-1), count: batch.rows)
    var places: [(example: Int, rows: Range<Int>)] = []
    var shared: [[Int32]: [(example: Int, row: Int)]] = [:]
    var sequence = 0
    for (place, index) in examples.enumerated() {
      let item = items[index]
      if isShared[index] {
        let tokens = item.sequences.compactMap(\.last)
        shared[tokens, default: []].append((place, batch.rows(of: sequence).upperBound - 1))
        sequence += 1
        continue
      }
      for option in item.sequences.indices {
        let rows = batch.rows(of: sequence)
        let start = rows.lowerBound + item.optionStarts[option]
        for row in start..<rows.upperBound { targets[row - 1] = batch.tokens[row] }
        places.append((place, start - 1..<rows.upperBound - 1))
        sequence += 1
      }
    }
    for (tokens, wanted) in shared {
      let logits = try model.logits(of: hidden, rows: wanted.map(\.row), tokens: tokens)
      for (row, want) in wanted.enumerated() {
        result[want.example] = tokens.indices.map { Double(logits[row, $0]) }
      }
    }
    guard !places.isEmpty else { return result }
    let found = try model.scores(of: hidden, targets: targets, batch: batch)
    for place in places {
      let sum = place.rows.reduce(0.0) { $0 - (found[$1]?.negativeLogLikelihood ?? .nan) }
      result[place.example].append(sum / Double(place.rows.count))
    }
    return result
  }
}
