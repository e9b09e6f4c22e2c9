import Tensors

extension WeightView {
  /// The tensor's values, in its own layout, as out × in.
  ///
  /// A wrong count is a bug of the caller: the view was made from the tensor's shape.
  public func matrix(from source: [Float]) -> Matrix<Float> {
    precondition(source.count == rows * columns, "\(source.count) values for \(sourceShape)")
    switch layout {
    case .outputsFirst: return Matrix(rows: rows, columns: columns, values: source)
    case .outputsLast, .inputsFirst:
      return Matrix(rows: columns, columns: rows, values: source).transposed
    }
  }

  /// An out × in matrix in the tensor's own layout: the way back from `matrix(from:)`.
  public func sourceValues(of matrix: Matrix<Float>) -> [Float] {
    precondition(
      matrix.rows == rows && matrix.columns == columns,
      "\(matrix.rows) × \(matrix.columns) for \(sourceShape)")
    switch layout {
    case .outputsFirst: return matrix.values
    case .outputsLast, .inputsFirst: return matrix.transposed.values
    }
  }
}
