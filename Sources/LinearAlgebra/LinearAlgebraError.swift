/// What a caller's numbers or sizes can make impossible.
public enum LinearAlgebraError: Error, Hashable, Sendable {
  /// A NaN or an infinity at a position of the input.
  case notFinite(routine: String, row: Int, column: Int, value: String)
  /// A matrix without rows or without columns.
  case empty(routine: String, rows: Int, columns: Int)
  case notSquare(routine: String, rows: Int, columns: Int)
  /// Extents of two operands that do not fit together.
  case sizesDisagree(routine: String, left: String, right: String)
  case rankOutOfRange(routine: String, rank: Int, rows: Int, columns: Int)
  case parameterOutOfRange(routine: String, name: String, value: String, allowed: String)
  /// An extent or a workspace beyond the 32-bit integers that the library counts with.
  case tooLarge(routine: String, rows: Int, columns: Int)
  case notConverged(routine: String, rows: Int, columns: Int, info: Int)
  /// Every rung of the damping ladder failed; the dampings are relative to the mean diagonal.
  case notPositiveDefinite(routine: String, order: Int, dampings: [Double], failedAt: Int)
  case singular(routine: String, order: Int, index: Int)
  case notPowerOfTwo(routine: String, size: Int)
  /// The library refused an argument: a bug of this room.
  case illegalArgument(routine: String, info: Int)
}

extension LinearAlgebraError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notFinite(let routine, let row, let column, let value):
      "\(routine): element (\(row), \(column)) is \(value); "
        + "find where the model or its activations overflow before decomposing"
    case .empty(let routine, let rows, let columns):
      "\(routine): the matrix is \(rows) × \(columns) and has no elements; leave this tensor out"
    case .notSquare(let routine, let rows, let columns):
      "\(routine): expected a square matrix, found \(rows) × \(columns)"
    case .sizesDisagree(let routine, let left, let right):
      "\(routine): the extents \(left) and \(right) do not fit together"
    case .rankOutOfRange(let routine, let rank, let rows, let columns):
      "\(routine): rank \(rank) of a \(rows) × \(columns) matrix; "
        + "choose a rank from 1 to \(min(rows, columns))"
    case .parameterOutOfRange(let routine, let name, let value, let allowed):
      "\(routine): \(name) is \(value); it must be \(allowed)"
    case .tooLarge(let routine, let rows, let columns):
      "\(routine): a \(rows) × \(columns) matrix needs more than 2³¹ − 1 numbers of workspace; "
        + "use the randomized decomposition or split the matrix"
    case .notConverged(let routine, let rows, let columns, let info):
      "\(routine): no convergence on a \(rows) × \(columns) matrix (info \(info)); "
        + "try f64 or the randomized decomposition"
    case .notPositiveDefinite(let routine, let order, let dampings, let failedAt):
      "\(routine): the \(order) × \(order) matrix is not positive definite at row \(failedAt), "
        + "not even with damping \(dampings.map { "\($0)" }.joined(separator: ", ")) of its mean "
        + "diagonal; use more calibration data or a larger damping"
    case .singular(let routine, let order, let index):
      "\(routine): the \(order) × \(order) triangular matrix has a zero on its diagonal at "
        + "\(index); add damping before inverting"
    case .notPowerOfTwo(let routine, let size):
      "\(routine): the size \(size) is no power of two; split it into blocks whose size is one"
    case .illegalArgument(let routine, let info):
      "\(routine): the library refused argument \(-info); this is a bug, please report it"
    }
  }
}
