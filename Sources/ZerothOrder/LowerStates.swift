import Models
import Objectives
import Synchronization
import Tensors

/// What enters the first tuned block, for every example of an objective: made once.
///
/// Blocks below the first tuned one never change, so that no step runs them. States beyond a cap
/// lie in a file without a name; the bits do not depend on the cap.
final class LowerStates: @unchecked Sendable {
  // The runner's states are only read, under the lock.
  private let runner: BlockwiseRunner
  private let lock = Mutex(())
  /// Where each example's sequences begin, and the end.
  private let starts: [Int]

  /// Runs the blocks below.
  ///
  /// - Parameters:
  ///   - weights: the model as it is.
  ///   - memoryLimit: bytes of states to hold in memory.
  /// - Throws: what running the model throws.
  init(
    _ model: LanguageModel, _ weights: any WeightProvider, of objective: any Objective,
    below first: Int, memoryLimit: Int
  ) throws {
    let batches = (0..<objective.count).map { objective.batch([$0]) }
    var starts = [0]
    for batch in batches { starts.append((starts.last ?? 0) + batch.sequences) }
    self.starts = starts
    runner = try BlockwiseRunner(
      model, batch: TokenBatch(joining: batches), memoryLimit: memoryLimit,
      passRows: BlockwiseRunner.passRows(model.description))
    for _ in 0..<first { try runner.advance(through: runner.loadBlock(from: weights)) }
  }

  /// The states of some examples, in order.
  func states(_ examples: [Int]) throws -> Matrix<Float> {
    var (values, rows): ([Float], Int) = ([], 0)
    for example in examples {
      let found = try lock.withLock { _ in
        try runner.states(of: starts[example]..<starts[example + 1])
      }
      values += found.values
      rows += found.rows
    }
    return Matrix(rows: rows, columns: rows == 0 ? 0 : values.count / rows, values: values)
  }
}
