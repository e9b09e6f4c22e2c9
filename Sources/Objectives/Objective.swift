import Models
import Tensors

/// What a model is to become better at: examples, and a loss on some of them.
///
/// The loss is a function of the final hidden states of the examples' sequences, so that several
/// variants of a model can be run together; logits are made only where they count.
public protocol Objective: Sendable {
  /// A short name: "kl", "lm", "options".
  var name: String { get }
  /// How many examples there are.
  var count: Int { get }

  /// The sequences that some examples need, laid end to end in order.
  func sequences(_ examples: [Int]) -> [[Int32]]

  /// The same as a batch, in which sequences may go on from one that they share.
  func batch(_ examples: [Int]) -> TokenBatch

  /// The loss on some examples.
  ///
  /// - Parameters:
  ///   - model: the model whose head makes logits.
  ///   - hidden: final hidden states of `batch(examples)`.
  ///   - batch: those sequences.
  func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum

  /// The losses of several sides, each with its own states, sequences and examples; NaN where
  /// logits are not finite.
  func losses(_ model: LanguageModel, _ sides: [ObjectiveSide]) throws -> [LossSum]

  /// The rows of `batch` whose final hidden states the loss reads; nil: all of them.
  ///
  /// The last block runs what follows attention on these alone.
  func rows(_ examples: [Int], of batch: TokenBatch) -> [Int]?

  /// The examples of a batch; each of the words is a fresh random number.
  func draw(_ words: [UInt64]) -> [Int]
}

/// What a variant of a model makes of some examples.
public struct ObjectiveSide: Sendable {
  /// Final hidden states of the batch.
  public let hidden: Matrix<Float>
  public let batch: TokenBatch
  public let examples: [Int]

  public init(hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]) {
    self.hidden = hidden
    self.batch = batch
    self.examples = examples
  }
}

extension Objective {
  /// Each side by itself.
  public func losses(_ model: LanguageModel, _ sides: [ObjectiveSide]) throws -> [LossSum] {
    try separateLosses(model, sides)
  }

  func separateLosses(_ model: LanguageModel, _ sides: [ObjectiveSide]) throws -> [LossSum] {
    try model.pool.map(sides.count) { (index: Int) throws -> LossSum in
      let side = sides[index]
      do {
        return try loss(
          model, hidden: side.hidden, batch: side.batch, examples: side.examples)
      } catch ModelError.notFiniteLogits {
        return LossSum(sum: .nan, count: 1)
      }
    }
  }

  /// Sides a few at a time, so that what they are joined to stays small; each by itself where one
  /// of them has logits that are not finite.
  func jointLosses(
    _ model: LanguageModel, _ sides: [ObjectiveSide],
    _ losses: ([ObjectiveSide]) throws -> [LossSum]
  ) throws -> [LossSum] {
    var result: [LossSum] = []
    var first = 0
    while first < sides.count {
      var (last, rows) = (first, 0)
      while last < sides.count, last == first || rows + sides[last].batch.rows <= 2048 {
        rows += sides[last].batch.rows
        last += 1
      }
      let part = Array(sides[first..<last])
      do {
        result += try losses(part)
      } catch ModelError.notFiniteLogits {
        result += try separateLosses(model, part)
      }
      first = last
    }
    return result
  }

  public func batch(_ examples: [Int]) -> TokenBatch { TokenBatch(sequences(examples)) }

  public func rows(_ examples: [Int], of batch: TokenBatch) -> [Int]? { nil }

  public func draw(_ words: [UInt64]) -> [Int] {
    words.map { Int($0.multipliedFullWidth(by: UInt64(count)).high) }
  }
}

/// An objective that needs the model to write: its loss cannot come from one pass.
public protocol GenerativeObjective: Objective {
  /// The loss on some examples, the model continuing their prompts.
  func loss(_ model: LanguageModel, examples: [Int]) throws -> LossSum
}

/// A sum of losses with what it is a sum over; shards add up exactly in this form.
public struct LossSum: Sendable, Hashable {
  public var sum: Double
  /// Tokens or examples that were summed over.
  public var count: Int
  /// How many were right, where that means something.
  public var hits: Int
  public var cases: Int

  public init(sum: Double = 0, count: Int = 0, hits: Int = 0, cases: Int = 0) {
    self.sum = sum
    self.count = count
    self.hits = hits
    self.cases = cases
  }

  /// The mean loss; NaN of nothing.
  public var mean: Double { count == 0 ? .nan : sum / Double(count) }
  /// The fraction that was right; nil where there is no right and wrong.
  public var accuracy: Double? { cases == 0 ? nil : Double(hits) / Double(cases) }

  public static func += (left: inout LossSum, right: LossSum) {
    left.sum += right.sum
    left.count += right.count
    left.hits += right.hits
    left.cases += right.cases
  }
}
