import Tensors

/// Eigenvalues and eigenvectors of a symmetric matrix.
///
/// (1) The values descend; (2) column i of `vectors` belongs to value i, the columns are
/// orthonormal; (3) each column's entry of largest magnitude, the first of them on a tie, is
/// positive.
public struct SymmetricEigenResult<S: BLASScalar>: Sendable {
  /// k values, the largest first; negative ones are last.
  public var values: [S]
  /// n × k.
  public var vectors: Matrix<S>
}

/// Eigen-decompositions of symmetric matrices; only the lower half is read.
public enum SymmetricEigen {
  /// All eigenvalues and eigenvectors, values descending, by LAPACK's syevd.
  ///
  /// - Throws: `LinearAlgebraError.notFinite`, `.notSquare`, `.empty`, `.tooLarge`,
  ///   `.notConverged`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func all<S: BLASScalar>(
    _ matrix: Matrix<S>
  ) throws(LinearAlgebraError) -> SymmetricEigenResult<S> {
    let routine = "SymmetricEigen.all"
    let order = try Workspace.order(routine, of: matrix)
    try Finiteness.check(matrix, routine: routine)
    BLAS.prepare()
    var vectors = matrix.values
    var values = [S](repeating: 0, count: matrix.rows)
    func run(_ work: inout [S], _ count: Int32, _ integers: inout [Int32], _ integerCount: Int32)
      -> Int32
    {
      S._syevd(
        columnMajorUpper, order, &vectors, order, &values, &work, count, &integers, integerCount)
    }
    var (query, integerQuery): ([S], [Int32]) = ([0], [0])
    try Workspace.checkArguments(run(&query, -1, &integerQuery, -1), routine)
    let count = try Workspace.count(
      query[0], routine, rows: matrix.rows, columns: matrix.columns)
    let integerCount = max(integerQuery[0], 1)
    var work = [S](repeating: 0, count: Int(count))
    var integers = [Int32](repeating: 0, count: Int(integerCount))
    let info = run(&work, count, &integers, integerCount)
    try check(info, routine, matrix)
    return descending(values, vectorRows: vectors, order: matrix.rows)
  }

  /// The `count` largest eigenvalues with their vectors, values descending, by LAPACK's syevr.
  ///
  /// - Throws: as `all(_:)`, and `.rankOutOfRange`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func largest<S: BLASScalar>(
    _ kept: Int, of matrix: Matrix<S>
  ) throws(LinearAlgebraError) -> SymmetricEigenResult<S> {
    let routine = "SymmetricEigen.largest"
    let order = try Workspace.order(routine, of: matrix)
    try SVD.checkRank(kept, of: matrix, routine: routine)
    try Finiteness.check(matrix, routine: routine)
    BLAS.prepare()
    var input = matrix.values
    // The routine uses all n places of its values even when asked for fewer.
    var values = [S](repeating: 0, count: matrix.rows)
    var vectors = [S](repeating: 0, count: matrix.rows * kept)
    var support = [Int32](repeating: 0, count: 2 * matrix.rows)
    let first = order - Int32(kept) + 1
    func run(_ work: inout [S], _ count: Int32, _ integers: inout [Int32], _ integerCount: Int32)
      -> Int32
    {
      S._syevr(
        columnMajorUpper, order, &input, order, first, order, &values, &vectors, order, &support,
        &work, count, &integers, integerCount)
    }
    var (query, integerQuery): ([S], [Int32]) = ([0], [0])
    try Workspace.checkArguments(run(&query, -1, &integerQuery, -1), routine)
    let count = try Workspace.count(
      query[0], routine, rows: matrix.rows, columns: matrix.columns)
    let integerCount = max(integerQuery[0], 1)
    var work = [S](repeating: 0, count: Int(count))
    var integers = [Int32](repeating: 0, count: Int(integerCount))
    let info = run(&work, count, &integers, integerCount)
    try check(info, routine, matrix)
    return descending(Array(values[..<kept]), vectorRows: vectors, order: matrix.rows)
  }

  /// The row-major lower half, as the column-major library names it.
  private static let columnMajorUpper = CChar(UInt8(ascii: "U"))

  private static func check<S: BLASScalar>(
    _ info: Int32, _ routine: String, _ matrix: Matrix<S>
  ) throws(LinearAlgebraError) {
    try Workspace.checkArguments(info, routine)
    guard info == 0 else {
      throw .notConverged(
        routine: routine, rows: matrix.rows, columns: matrix.columns, info: Int(info))
    }
  }

  /// Turns the library's ascending values and vectors in rows into ours.
  private static func descending<S: BLASScalar>(
    _ values: [S], vectorRows: [S], order: Int
  ) -> SymmetricEigenResult<S> {
    let count = values.count
    var reversed: [S] = []
    reversed.reserveCapacity(count * order)
    for index in (0..<count).reversed() {
      reversed.append(contentsOf: vectorRows[index * order..<(index + 1) * order])
    }
    var vectors = Matrix(rows: count, columns: order, values: reversed).transposed
    SignRule.apply(columns: &vectors)
    return SymmetricEigenResult(values: values.reversed(), vectors: vectors)
  }
}
