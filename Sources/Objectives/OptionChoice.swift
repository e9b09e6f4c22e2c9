import Models
import Tensors
import Text

/// Classification and multiple choice: cross entropy over a record's options.
///
/// An option's score is the mean of its tokens' log p; the loss is the cross entropy of the softmax
/// over the options' scores (MeZO's large-model code). Options of one token after the same prompt
/// share one sequence, and only their own logits are made: the normalizer cancels.
///
/// With a teacher the loss is KL(teacher's softmax over the options ‖ student's): its slope along a
/// direction is (p − t)·∂margin in place of (p − y)·∂margin, far smaller where the student nearly
/// says what the teacher says, and so is its variance. Labels then only count what was right.
public struct OptionChoice: Objective {
  public let name: String
  public let items: [ScoringItem]
  public var count: Int { items.count }
  private let shares: [Share]
  /// The teacher's probabilities of each item's options; nil: labels.
  private let targets: [[Double]]?

  /// What an item's options have in common.
  private enum Share: Sendable, Hashable {
    /// One token each after the same prompt: one sequence, and logits of its last row.
    case all
    /// A prompt of so many tokens, which is run once; each option goes on from it.
    case prompt(Int)
    case nothing
  }

  /// Labels.
  ///
  /// - Parameters:
  ///   - items: prompts with their options, each with its label.
  ///   - sharesPrompts: whether longer options of a record go on from one pass over its prompt.
  /// - Throws: `ObjectivesError.noExamples`, or `.noLabel` for a record without a label.
  public init(
    items: [ScoringItem], source: String, sharesPrompts: Bool = true
  ) throws(ObjectivesError) {
    for (index, item) in items.enumerated() {
      guard let label = item.label, item.sequences.indices.contains(label) else {
        throw .noLabel(source: source, record: index + 1)
      }
    }
    try self.init(
      items: items, name: "options", targets: nil, source: source, sharesPrompts: sharesPrompts)
  }

  /// What a teacher thinks of the options; records need no labels.
  ///
  /// - Throws: `ObjectivesError.noExamples`, and what running the teacher throws.
  public init(
    items: [ScoringItem], source: String, teacher: LanguageModel, sharesPrompts: Bool = true
  ) throws {
    let name = "options-kl"
    // The teacher may round keys and values otherwise: it runs each option whole.
    let plain = try Self(
      items: items, name: name, targets: nil, source: source, sharesPrompts: false)
    var targets: [[Double]] = []
    let share = 128
    for first in stride(from: 0, to: items.count, by: share) {
      let examples = Array(first..<min(first + share, items.count))
      let batch = plain.batch(examples)
      let hidden = try teacher.hiddenStates(of: batch)
      targets += try plain.scores(teacher, hidden, batch, examples).map {
        Self.logSoftmax($0).map(exponential)
      }
    }
    try self.init(
      items: items, name: name, targets: targets, source: source, sharesPrompts: sharesPrompts)
  }

  private init(
    items: [ScoringItem], name: String, targets: [[Double]]?, source: String, sharesPrompts: Bool
  ) throws(ObjectivesError) {
    guard !items.isEmpty else { throw .noExamples(source: source) }
    self.name = name
    self.items = items
    self.targets = targets
    shares = items.map { Self.share(of: $0, sharesPrompts) }
  }

  private static func share(of item: ScoringItem, _ sharesPrompts: Bool) -> Share {
    guard let first = item.sequences.first else { return .nothing }
    let isAlike = item.sequences.indices.allSatisfy {
      item.sequences[$0].dropLast() == first.dropLast()
        && item.optionStarts[$0] == item.sequences[$0].count - 1
    }
    if isAlike { return .all }
    guard sharesPrompts, item.sequences.count > 1 else { return .nothing }
    let common = item.sequences.reduce(first.count) { least, other in
      min(least, zip(first, other).prefix { $0 == $1 }.count)
    }
    // The row before an option tells its first token: each option has one of its own.
    let length = min(common, item.optionStarts.min() ?? 0) - 1
    return length > 0 ? .prompt(length) : .nothing
  }

  public func sequences(_ examples: [Int]) -> [[Int32]] {
    examples.flatMap { index -> [[Int32]] in
      let item = items[index]
      switch shares[index] {
      case .all: return [Array(item.sequences[0].dropLast())]
      case .prompt(let length):
        return [Array(item.sequences[0][..<length])]
          + item.sequences.map { Array($0[length...].dropLast()) }
      case .nothing: return item.sequences.map { Array($0.dropLast()) }
      }
    }
  }

  public func batch(_ examples: [Int]) -> TokenBatch {
    var prefixes: [Int?] = []
    for index in examples {
      let first = prefixes.count
      switch shares[index] {
      case .all: prefixes.append(nil)
      case .prompt: prefixes += [nil] + items[index].sequences.map { _ in first }
      case .nothing: prefixes += items[index].sequences.map { _ in nil }
      }
    }
    return TokenBatch(sequences(examples), prefixes: prefixes)
  }

  public func rows(_ examples: [Int], of batch: TokenBatch) -> [Int]? {
    places(examples, batch).flatMap(\.self).flatMap { Array($0.rows) }
  }

  /// Rows of a batch that tell an option, and the tokens that they tell.
  private struct Place {
    let rows: Range<Int>
    let tokens: ArraySlice<Int32>
  }

  /// Of each example: one place for all options, or one each.
  private func places(_ examples: [Int], _ batch: TokenBatch) -> [[Place]] {
    var sequence = 0
    return examples.map { index in
      let item = items[index]
      var length = 0
      switch shares[index] {
      case .all:
        defer { sequence += 1 }
        let last = batch.rows(of: sequence).upperBound - 1
        return [Place(rows: last..<last + 1, tokens: item.sequences.compactMap(\.last)[...])]
      case .prompt(let common):
        length = common
        sequence += 1
      case .nothing: break
      }
      return item.sequences.indices.map { option in
        defer { sequence += 1 }
        let rows = batch.rows(of: sequence)
        let first = rows.lowerBound + item.optionStarts[option] - 1 - length
        return Place(rows: first..<rows.upperBound, tokens: item.option(option))
      }
    }
  }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    let scores = try scores(model, hidden, batch, examples)
    var result = LossSum()
    for (scores, index) in zip(scores, examples) {
      let logs = Self.logSoftmax(scores)
      let label = items[index].label
      if let target = targets?[index] {
        result.sum += zip(target, logs).reduce(0) {
          $1.0 > 0 ? $0 + $1.0 * (naturalLogarithm($1.0) - $1.1) : $0
        }
      } else if let label {
        result.sum -= logs[label]
      }
      result.count += 1
      guard let label, let largest = scores.max() else { continue }
      result.cases += 1
      if scores.firstIndex(of: largest) == label { result.hits += 1 }
    }
    return result
  }

  private static func logSoftmax(_ scores: [Double]) -> [Double] {
    let largest = scores.max() ?? 0
    let sum = naturalLogarithm(scores.reduce(0) { $0 + exponential($1 - largest) })
    return scores.map { $0 - largest - sum }
  }

  /// Per example and option the mean log p of the option's tokens; for shared prompts, logits.
  private func scores(
    _ model: LanguageModel, _ hidden: Matrix<Float>, _ batch: TokenBatch, _ examples: [Int]
  ) throws -> [[Double]] {
    var result: [[Double]] = Array(repeating: [], count: examples.count)
    var targets = Array(repeating: Int32(-1), count: batch.rows)
    var shared: [[Int32]: [(example: Int, row: Int)]] = [:]
    let places = places(examples, batch)
    for (example, own) in places.enumerated() {
      if shares[examples[example]] == .all {
        shared[Array(own[0].tokens), default: []].append((example, own[0].rows.lowerBound))
        continue
      }
      for place in own {
        for (row, token) in zip(place.rows, place.tokens) { targets[row] = token }
      }
    }
    for (tokens, wanted) in shared {
      let logits = try model.logits(of: hidden, rows: wanted.map(\.row), tokens: tokens)
      for (row, want) in wanted.enumerated() {
        result[want.example] = tokens.indices.map { Double(logits[row, $0]) }
      }
    }
    guard targets.contains(where: { $0 >= 0 }) else { return result }
    let found = try model.scores(of: hidden, targets: targets, batch: batch)
    for (example, own) in places.enumerated() where shares[examples[example]] != .all {
      result[example] = own.map { place in
        place.rows.reduce(0.0) { $0 - (found[$1]?.negativeLogLikelihood ?? .nan) }
          / Double(place.rows.count)
      }
    }
    return result
  }
}
