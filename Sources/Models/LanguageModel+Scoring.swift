import Architectures
import Tensors

extension LanguageModel {
  /// Scores a target token per row.
  ///
  /// - Parameters:
  ///   - batch: sequences laid end to end.
  ///   - targets: per row the token whose likelihood is asked for, or a negative number where the
  ///     row needs none: its logits are never computed.
  /// - Returns: per row of the batch a score, nil where none was asked for.
  /// - Throws: `ModelError` for tokens out of range, a model without a head, logits that are not
  ///   finite.
  public func scores(
    of batch: TokenBatch, targets: [Int32], cache: KeyValueCache? = nil
  ) throws -> [RowScore?] {
    try scores(of: hiddenStates(of: batch, cache: cache), targets: targets, batch: batch)
  }

  /// Scores a target token per row of final hidden states.
  public func scores(
    of hidden: Matrix<Float>, targets: [Int32], batch: TokenBatch? = nil
  ) throws -> [RowScore?] {
    precondition(targets.count == hidden.rows, "\(targets.count) targets, \(hidden.rows) rows")
    let head = try requireHead()
    try checkTargets(targets, of: batch)
    return try head.scoresOfTargets(hidden, targets: targets, scratch: trunk.scratch, pool: pool)
  }

  /// Scores a target per row of several matrices of final hidden states, as the sides of a
  /// perturbation have; the head's table goes by once for all of them.
  ///
  /// - Returns: the scores of each, as `scores` gives them.
  /// - Throws: what `scores` throws; the row of logits that are not finite is counted over all.
  public func scores(
    of sides: [Matrix<Float>], targets: [[Int32]]
  ) throws -> [[RowScore?]] {
    precondition(
      sides.map(\.rows) == targets.map(\.count), "a target of every row of every side")
    let head = try requireHead()
    for targets in targets { try checkTargets(targets, of: nil) }
    let rows = targets.map { own in own.indices.filter { own[$0] >= 0 } }
    let found = try head.scores(
      head.prepared(Matrix(picking: Array(zip(sides, rows))), pool: pool),
      targets: targets.flatMap { $0.filter { $0 >= 0 } }, scratch: trunk.scratch, pool: pool)
    var next = 0
    return zip(rows, targets).map { rows, own in
      var result = [RowScore?](repeating: nil, count: own.count)
      for row in rows {
        result[row] = found[next]
        next += 1
      }
      return result
    }
  }

  /// −log p of every token but the first of each sequence, given the tokens before it.
  public func negativeLogLikelihoods(of sequences: [[Int32]]) throws -> [[Double]] {
    try requireCausal()
    let batch = TokenBatch(sequences)
    let targets = sequences.flatMap { sequence in
      sequence.dropFirst() + (sequence.isEmpty ? [] : [-1])
    }
    let found = try scores(of: batch, targets: targets)
    return (0..<batch.sequences).map { sequence in
      batch.rows(of: sequence).dropLast().map { found[$0]?.negativeLogLikelihood ?? .nan }
    }
  }

  /// The logits of some rows of final hidden states, `rows × vocabulary`.
  ///
  /// Whole rows of a large vocabulary take `rows × vocabulary × 4` bytes: ask for a few at a time.
  public func logits(of hidden: Matrix<Float>, rows: [Int]? = nil) throws -> Matrix<Float> {
    let head = try requireHead()
    let picked = rows.map { hidden.picking($0) } ?? hidden
    let x = head.prepared(picked, pool: pool)
    let vocabulary = description.vocabularySize
    return Matrix(rows: x.rows, columns: vocabulary) { target in
      x.values.withUnsafeBufferPointer { source in
        // Tiles write to disjoint columns.
        nonisolated(unsafe) let (result, input) = (target.baseAddress, source.baseAddress)
        let tile = VocabularyHead.tileTokens
        pool.forEach((vocabulary + tile - 1) / tile) { (index: Int) -> Void in
          guard let result, let input else { return }
          let tokens = index * tile..<min((index + 1) * tile, vocabulary)
          head.logits(
            input, rows: x.rows, tokens: tokens, into: result + tokens.lowerBound,
            stride: vocabulary,
            scratch: trunk.scratch)
        }
      }
    }
  }

  /// Hands out whole logits of some rows in blocks that stay under a number of bytes.
  ///
  /// - Parameter body: called in order with the rows' numbers and their logits,
  ///   `rows.count × vocabulary`.
  public func forEachLogits(
    of hidden: Matrix<Float>, rows: [Int], blockBytes: Int = 8 << 20,
    _ body: (ArraySlice<Int>, Matrix<Float>) throws -> Void
  ) throws {
    let step = max(1, blockBytes / (4 * description.vocabularySize))
    for first in stride(from: 0, to: rows.count, by: step) {
      let part = rows[first..<min(first + step, rows.count)]
      try body(part, logits(of: hidden, rows: Array(part)))
    }
  }

  private func checkTargets(_ targets: [Int32], of batch: TokenBatch?) throws(ModelError) {
    for row in targets.indices where Int(targets[row]) >= description.vocabularySize {
      let sequence = batch.flatMap { $0.offsets.lastIndex { $0 <= row } } ?? 0
      throw .tokenOutOfRange(
        sequence: sequence, position: row - (batch?.offsets[sequence] ?? 0),
        token: Int(targets[row]), vocabulary: description.vocabularySize)
    }
  }

  func requireHead() throws(ModelError) -> VocabularyHead {
    guard let head else { throw .noHead(modelType: description.modelType) }
    return head
  }

  func requireCausal() throws(ModelError) {
    guard description.attention.causal else {
      throw .notCausal(modelType: description.modelType)
    }
  }
}

extension Matrix where Element == Float {
  /// Rows of some numbers of several matrices of one width, one behind the other.
  init(picking parts: [(matrix: Matrix, rows: [Int])]) {
    let width = parts.first?.matrix.columns ?? 0
    precondition(parts.allSatisfy { $0.matrix.columns == width }, "matrices of one width")
    self.init(rows: parts.reduce(0) { $0 + $1.rows.count }, columns: width) { target in
      var next = 0
      for (matrix, rows) in parts {
        for row in rows {
          _ = UnsafeMutableBufferPointer(rebasing: target[next..<next + width])
            .initialize(from: matrix.values[matrix.range(ofRow: row)])
          next += width
        }
      }
    }
  }

  /// A copy of the rows of some numbers, in their order.
  func picking(_ numbers: [Int]) -> Matrix { Matrix(picking: [(self, numbers)]) }
}
