import Tensors

/// The thin QR decomposition of a row-major matrix.
///
/// (1) Q is m × k with orthonormal columns, R is k × n upper triangular, k = min(m, n);
/// (2) Q · R is the matrix; (3) R's diagonal is not negative, which makes the decomposition of a
/// matrix of full column rank unique.
public enum QR {
  /// The decomposition by Householder reflections, on the calling thread.
  ///
  /// A row-major matrix is LAPACK's column-major transpose, so this is its LQ decomposition:
  /// Wᵀ = L·P gives W = Pᵀ·Lᵀ without transposing anything.
  ///
  /// - Throws: `LinearAlgebraError.notFinite`, `.empty` or `.tooLarge`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func thin<S: BLASScalar>(
    _ matrix: Matrix<S>
  ) throws(LinearAlgebraError) -> (q: Matrix<S>, r: Matrix<S>) {
    let routine = "QR.thin"
    try Finiteness.check(matrix, routine: routine)
    let (rows, columns) = try Workspace.extents(
      routine, rows: matrix.rows, columns: matrix.columns)
    BLAS.prepare()
    let kept = min(matrix.rows, matrix.columns)
    var values = matrix.values
    var tau = [S](repeating: 0, count: kept)

    var query: [S] = [0]
    try Workspace.checkArguments(
      S._gelqf(columns, rows, &values, columns, &tau, &query, -1), routine)
    var count = try Workspace.count(query[0], routine, rows: matrix.rows, columns: matrix.columns)
    var work = [S](repeating: 0, count: Int(count))
    try Workspace.checkArguments(
      S._gelqf(columns, rows, &values, columns, &tau, &work, count), routine)

    var r = Matrix<S>(rows: kept, columns: matrix.columns, repeating: 0)
    for row in 0..<kept {
      for column in row..<matrix.columns {
        r[row, column] = values[row * matrix.columns + column]
      }
    }

    try Workspace.checkArguments(
      S._orglq(Int32(kept), rows, Int32(kept), &values, columns, &tau, &query, -1), routine)
    count = try Workspace.count(query[0], routine, rows: matrix.rows, columns: matrix.columns)
    work = [S](repeating: 0, count: Int(count))
    try Workspace.checkArguments(
      S._orglq(Int32(kept), rows, Int32(kept), &values, columns, &tau, &work, count), routine)
    var q = Matrix(rows: matrix.rows, columns: matrix.columns, values: values)
    if kept < matrix.columns { q = q.firstColumns(kept) }
    makeDiagonalPositive(&q, &r)
    return (q, r)
  }

  private static func makeDiagonalPositive<S: BLASScalar>(
    _ q: inout Matrix<S>, _ r: inout Matrix<S>
  ) {
    let negative = (0..<r.rows).filter { r[$0, $0] < 0 }
    for row in negative {
      for column in row..<r.columns { r[row, column].negate() }
    }
    for row in 0..<q.rows {
      for column in negative { q[row, column].negate() }
    }
  }
}

extension Matrix {
  /// A copy of the leftmost columns; more columns than there are is a bug of the caller.
  func firstColumns(_ count: Int) -> Matrix {
    precondition(count >= 0 && count <= columns, "\(count) of \(columns) columns")
    var kept: [Element] = []
    kept.reserveCapacity(rows * count)
    for row in 0..<rows {
      kept.append(contentsOf: values[row * columns..<row * columns + count])
    }
    return Matrix(rows: rows, columns: count, values: kept)
  }
}
