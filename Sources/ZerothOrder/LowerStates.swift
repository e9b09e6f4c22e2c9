import Models
import Objectives
import Synchronization
import Tensors

/// What enters the first tuned block, for every example of an objective: made once.
///
/// Blocks below the first tuned one never change, so that no step runs them. States beyond a cap
/// lie in a file without a name; the bits do not depend on the cap. Behind the last block only the
/// rows that the loss reads are kept.
final class LowerStates: @unchecked Sendable {
  // The runner's states are only read, under the lock.
  private let lock = Mutex(())
  private let form: Form

  private enum Form {
    /// All states, and where each example's sequences begin, and the end.
    case all(BlockwiseRunner, starts: [Int])
    case read([ReadRows])
  }

  /// The rows of one example that are read, of so many.
  private struct ReadRows {
    var count: Int
    var rows: [Int]
    var values: [Float]
  }

  /// Examples that go through the blocks together where only some of their rows are kept.
  private static let together = 1024

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
    func run(_ batches: ArraySlice<TokenBatch>) throws -> (runner: BlockwiseRunner, starts: [Int]) {
      var starts = [0]
      for batch in batches { starts.append((starts.last ?? 0) + batch.sequences) }
      let runner = try BlockwiseRunner(
        model, batch: TokenBatch(joining: Array(batches)), memoryLimit: memoryLimit,
        passRows: BlockwiseRunner.passRows(model.description))
      for _ in 0..<first { try runner.advance(through: runner.loadBlock(from: weights)) }
      return (runner, starts)
    }
    let rows = batches.indices.map { objective.rows([$0], of: batches[$0]) }
    guard first == model.description.blocks.count, rows.allSatisfy({ $0 != nil }) else {
      let (runner, starts) = try run(batches[...])
      form = .all(runner, starts: starts)
      return
    }
    var read: [ReadRows] = []
    for start in stride(from: 0, to: batches.count, by: Self.together) {
      let part = start..<min(start + Self.together, batches.count)
      let (runner, starts) = try run(batches[part])
      for (place, example) in part.enumerated() {
        let states = try runner.states(of: starts[place]..<starts[place + 1])
        let wanted = rows[example] ?? []
        let values = wanted.flatMap { states.values[states.range(ofRow: $0)] }
        read.append(ReadRows(count: states.rows, rows: wanted, values: values))
      }
    }
    form = .read(read)
  }

  /// The states of some examples, in order; zeros where nothing is read.
  func states(_ examples: [Int]) throws -> Matrix<Float> {
    switch form {
    case .all(let runner, let starts):
      var (values, rows): ([Float], Int) = ([], 0)
      for example in examples {
        let found = try lock.withLock { _ in
          try runner.states(of: starts[example]..<starts[example + 1])
        }
        values += found.values
        rows += found.rows
      }
      return Matrix(rows: rows, columns: rows == 0 ? 0 : values.count / rows, values: values)
    case .read(let all):
      let total = examples.reduce(0) { $0 + all[$1].count }
      let width = examples.first.map { all[$0].values.count / max(all[$0].rows.count, 1) } ?? 0
      var result = Matrix<Float>(rows: total, columns: width, repeating: 0)
      var first = 0
      for example in examples {
        for (place, row) in all[example].rows.enumerated() {
          for column in 0..<width {
            result[first + row, column] = all[example].values[place * width + column]
          }
        }
        first += all[example].count
      }
      return result
    }
  }
}
