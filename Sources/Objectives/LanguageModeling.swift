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

  public func sequences(_ examples: [Int]) -> [[Int32]] { examples.map { windows[$0] } }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    var targets = Array(repeating: Int32(-1), count: batch.rows)
    for sequence in 0..<batch.sequences {
      let rows = batch.rows(of: sequence)
      for row in rows.dropLast() { targets[row] = batch.tokens[row + 1] }
    }
    var result = LossSum()
    for case let score? in try model.scores(of: hidden, targets: targets, batch: batch) {
      result.sum += score.negativeLogLikelihood
      result.count += 1
    }
    return result
  }
}
