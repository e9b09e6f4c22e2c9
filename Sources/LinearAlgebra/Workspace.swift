import Tensors

/// Sizes that LAPACK counts with 32-bit integers, and the workspaces that it asks for.
enum Workspace {
  /// An extent as the library takes it.
  ///
  /// - Throws: `LinearAlgebraError.tooLarge` beyond 2³¹ − 1.
  static func extents(
    _ routine: String, rows: Int, columns: Int
  ) throws(LinearAlgebraError) -> (rows: Int32, columns: Int32) {
    guard rows > 0, columns > 0 else {
      throw .empty(routine: routine, rows: rows, columns: columns)
    }
    guard let rowCount = Int32(exactly: rows), let columnCount = Int32(exactly: columns) else {
      throw .tooLarge(routine: routine, rows: rows, columns: columns)
    }
    return (rowCount, columnCount)
  }

  /// The order of a square matrix.
  static func order<S>(
    _ routine: String, of matrix: Matrix<S>
  ) throws(LinearAlgebraError) -> Int32 {
    guard matrix.rows == matrix.columns else {
      throw .notSquare(routine: routine, rows: matrix.rows, columns: matrix.columns)
    }
    return try extents(routine, rows: matrix.rows, columns: matrix.columns).rows
  }

  /// The element count that a workspace query answered with.
  ///
  /// The f32 routines answer in an f32, which may have rounded a large count down: the next f32
  /// up is at least what was meant.
  static func count<S: BLASScalar>(
    _ answer: S, _ routine: String, rows: Int, columns: Int
  ) throws(LinearAlgebraError) -> Int32 {
    let safe = Double(answer) < 0x1p23 ? Double(answer) : Double(answer.nextUp)
    guard let count = Int32(exactly: safe.rounded(.up)) else {
      throw .tooLarge(routine: routine, rows: rows, columns: columns)
    }
    return max(count, 1)
  }

  /// Turns a negative `info` into an error.
  static func checkArguments(_ info: Int32, _ routine: String) throws(LinearAlgebraError) {
    if info < 0 { throw .illegalArgument(routine: routine, info: Int(info)) }
  }
}
