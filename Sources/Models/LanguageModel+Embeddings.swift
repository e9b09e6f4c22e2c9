import Tensors

extension LanguageModel {
  /// The mean of each sequence's last hidden states, `sequences × width`; zeros for an empty one.
  ///
  /// - Parameter normalized: whether rows are scaled to length 1, as sentence encoders do.
  public func meanPooled(_ batch: TokenBatch, normalized: Bool = false) throws -> Matrix<Float> {
    let hidden = try hiddenStates(of: batch)
    var result = Matrix<Float>(rows: batch.sequences, columns: hidden.columns, repeating: 0)
    for sequence in 0..<batch.sequences {
      let rows = batch.rows(of: sequence)
      var sums = Array(repeating: 0.0, count: hidden.columns)
      for row in rows {
        for column in 0..<hidden.columns { sums[column] += Double(hidden[row, column]) }
      }
      let length = sums.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let divisor = normalized ? length : Double(rows.count)
      guard divisor > 0 else { continue }
      for column in 0..<hidden.columns { result[sequence, column] = Float(sums[column] / divisor) }
    }
    return result
  }
}
