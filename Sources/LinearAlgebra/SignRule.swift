import Tensors

/// The rule that makes singular vectors and eigenvectors the same on every run.
///
/// A vector and its negative are equally right, and which of them LAPACK returns depends on its
/// blocking. Here the entry of largest magnitude, the one of lowest index on a tie, is positive.
enum SignRule {
  /// Makes each column obey the rule; the row of the same index in `rows` is flipped along.
  static func apply<S: BLASScalar>(columns: inout Matrix<S>, rows: inout Matrix<S>) {
    for index in apply(columns: &columns) {
      for position in rows.range(ofRow: index) { rows.values[position].negate() }
    }
  }

  /// Makes each column obey the rule; returns the columns that were flipped.
  @discardableResult
  static func apply<S: BLASScalar>(columns: inout Matrix<S>) -> [Int] {
    let count = columns.columns
    var extremes = [S](repeating: 0, count: count)
    let height = columns.rows
    return columns.values.withUnsafeMutableBufferPointer { values in
      for row in 0..<height {
        for column in 0..<count
        where values[row * count + column].magnitude > extremes[column].magnitude {
          extremes[column] = values[row * count + column]
        }
      }
      let flipped = (0..<count).filter { extremes[$0] < 0 }
      guard !flipped.isEmpty else { return flipped }
      for row in 0..<height {
        for column in flipped { values[row * count + column].negate() }
      }
      return flipped
    }
  }
}
