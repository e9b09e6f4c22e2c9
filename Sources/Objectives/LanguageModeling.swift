import Models
import Tensors

/// −log p of each next token of some windows.
public struct LanguageModeling: Objective {
  public let name = "lm"
  public let windows: [[Int32]]
  public var count: Int { windows.count }

  /// - Parameter windows: of two tokens or more each.
  /// - Throws: `ObjectivesError.noExamples`.
  public init(windows: [[Int32]], source: String) throws(ObjectivesError) {
    self.windows = windows.filter { $0.count > 1 }
    guard !self.windows.isEmpty else { throw .noExamples(source: source) }
  }

  /// Windows without their last tokens: nothing is predicted behind them, and none sees them.
  public func sequences(_ examples: [Int]) -> [[Int32]] {
    examples.map { Array(windows[$0].dropLast()) }
  }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    Self.sum(try model.scores(of: hidden, targets: targets(examples), batch: batch))
  }

  public func losses(_ model: LanguageModel, _ sides: [ObjectiveSide]) throws -> [LossSum] {
    try jointLosses(model, sides) { sides in
      try model.scores(of: sides.map(\.hidden), targets: sides.map { targets($0.examples) })
        .map(Self.sum)
    }
  }

  /// The next token of each row.
  private func targets(_ examples: [Int]) -> [Int32] {
    examples.flatMap { windows[$0].dropFirst() }
  }

  private static func sum(_ scores: [RowScore?]) -> LossSum {
    var result = LossSum()
    for case let score? in scores {
      result.sum += score.negativeLogLikelihood
      result.count += 1
    }
    return result
  }
}
