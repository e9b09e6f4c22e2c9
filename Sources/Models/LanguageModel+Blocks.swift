import Architectures
import Tensors

extension LanguageModel {
  /// The states before every block, for runs that change one of them: `blocks` matrices of
  /// `batch.rows × hiddenSize`.
  ///
  /// - Throws: `ModelError` for tokens out of range or sequences too long.
  public func statesBeforeBlocks(of batch: TokenBatch) throws -> [Matrix<Float>] {
    try batch.validate(for: description)
    let width = description.hiddenSize
    var states: [Matrix<Float>] = []
    var current = Matrix<Float>(rows: batch.rows, columns: width) { target in
      guard let x = target.baseAddress else { return }
      trunk.embed(batch, 0..<batch.sequences, cache: nil, into: x)
    }
    for index in description.blocks.indices {
      states.append(current)
      guard index + 1 < description.blocks.count else { break }
      try advance(&current, batch, through: index, replacing: nil)
    }
    return states
  }

  /// Final hidden states when one block is another, from the states before that block.
  public func hiddenStates(
    of batch: TokenBatch, replacing block: PreparedBlock, before states: Matrix<Float>
  ) throws -> Matrix<Float> {
    precondition(
      states.rows == batch.rows && states.columns == description.hiddenSize, "states of the batch")
    var current = states
    for index in description.blocks.indices[block.description.index...] {
      try advance(
        &current, batch, through: index,
        replacing: index == block.description.index ? block : nil)
    }
    return finished(&current)
  }

  private func advance(
    _ states: inout Matrix<Float>, _ batch: TokenBatch, through index: Int,
    replacing block: PreparedBlock?
  ) throws {
    let prepared = try block ?? self.block(index)
    let width = description.hiddenSize
    try states.values.withUnsafeMutableBufferPointer { values in
      guard let x = values.baseAddress else { return }
      for chunk in batch.chunks(ofRows: trunk.passRows) {
        try trunk.run(prepared, batch, chunk, x + batch.offsets[chunk.lowerBound] * width)
      }
    }
  }

  private func finished(_ states: inout Matrix<Float>) -> Matrix<Float> {
    let rows = states.rows
    return Matrix(rows: rows, columns: trunk.outputWidth) { target in
      guard let y = target.baseAddress else { return }
      states.values.withUnsafeMutableBufferPointer { source in
        guard let x = source.baseAddress else { return }
        trunk.finish(x, rows: rows, into: y)
      }
    }
  }
}
