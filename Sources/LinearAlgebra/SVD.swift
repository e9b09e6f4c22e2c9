import Tensors

/// Which algorithm produced a decomposition.
public enum SVDDriver: String, Sendable, Hashable {
  /// LAPACK's gesdd.
  case divideAndConquer
  /// LAPACK's gesvd, some thirty times slower: only where gesdd did not converge.
  case qrIteration
  /// A Gaussian sketch with power iterations.
  case randomized
}

/// A thin singular value decomposition: W ≈ U · diag(singularValues) · Vᵀ.
///
/// (1) The columns of U and the rows of Vᵀ are orthonormal; (2) the singular values descend and
/// are not negative; (3) the entry of largest magnitude in each column of U, the first of them
/// on a tie, is positive.
public struct SVDResult<S: BLASScalar>: Sendable {
  /// m × k, a column for each singular value.
  public var u: Matrix<S>
  /// k values, descending.
  public var singularValues: [S]
  /// k × n, a row for each singular value.
  public var vt: Matrix<S>
  public var driver: SVDDriver

  /// The number of components.
  public var rank: Int { singularValues.count }

  /// The first components only; a rank below 1 or above `self.rank` is a bug of the caller.
  public func truncated(to rank: Int) -> SVDResult {
    precondition(rank >= 1 && rank <= self.rank, "rank \(rank) of \(self.rank)")
    if rank == self.rank { return self }
    return SVDResult(
      u: u.firstColumns(rank), singularValues: Array(singularValues[..<rank]),
      vt: vt.rows(0..<rank), driver: driver)
  }

  /// U · diag(singularValues) · Vᵀ, m × n.
  public func product(pool: WorkerPool = .serial) throws -> Matrix<S> {
    var scaled = vt
    for index in 0..<rank {
      for position in vt.range(ofRow: index) { scaled.values[position] *= singularValues[index] }
    }
    return try u.multiplied(by: scaled, pool: pool)
  }
}

/// Singular value decompositions of row-major matrices.
public enum SVD {
  /// The thin decomposition of the whole matrix, k = min(m, n).
  ///
  /// LAPACK's gesdd; where it does not converge, gesvd, and `driver` says so. On the calling
  /// thread.
  ///
  /// - Throws: `LinearAlgebraError.notFinite`, `.empty`, `.tooLarge`, `.notConverged`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func exact<S: BLASScalar>(
    _ matrix: Matrix<S>
  ) throws(LinearAlgebraError) -> SVDResult<S> {
    try Finiteness.check(matrix, routine: "SVD.exact")
    var result: SVDResult<S>
    do {
      result = try thin(matrix, driver: .divideAndConquer)
    } catch .notConverged {
      result = try thin(matrix, driver: .qrIteration)
    }
    SignRule.apply(columns: &result.u, rows: &result.vt)
    return result
  }

  /// The thin decomposition, its `rank` largest components only.
  ///
  /// - Throws: as `exact(_:)`, and `.rankOutOfRange`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func exact<S: BLASScalar>(
    _ matrix: Matrix<S>, rank: Int
  ) throws(LinearAlgebraError) -> SVDResult<S> {
    try checkRank(rank, of: matrix, routine: "SVD.exact")
    return try exact(matrix).truncated(to: rank)
  }

  static func checkRank<S>(
    _ rank: Int, of matrix: Matrix<S>, routine: String
  ) throws(LinearAlgebraError) {
    guard rank >= 1, rank <= min(matrix.rows, matrix.columns) else {
      throw .rankOutOfRange(
        routine: routine, rank: rank, rows: matrix.rows, columns: matrix.columns)
    }
  }

  /// One run of a LAPACK driver, signs as they come.
  ///
  /// A row-major m × n matrix is the column-major n × m transpose, so the routine's U slot holds
  /// our Vᵀ and its VT slot our U, both already row-major: nothing is transposed.
  static func thin<S: BLASScalar>(
    _ matrix: Matrix<S>, driver: SVDDriver
  ) throws(LinearAlgebraError) -> SVDResult<S> {
    let routine = driver == .qrIteration ? "SVD.exact (gesvd)" : "SVD.exact (gesdd)"
    let (rows, columns) = try Workspace.extents(
      routine, rows: matrix.rows, columns: matrix.columns)
    BLAS.prepare()
    let kept = min(matrix.rows, matrix.columns)
    var input = matrix.values
    var values = [S](repeating: 0, count: kept)
    var u = [S](repeating: 0, count: matrix.rows * kept)
    var vt = [S](repeating: 0, count: kept * matrix.columns)
    var integers = [Int32](repeating: 0, count: driver == .qrIteration ? 1 : 8 * kept)
    let job = CChar(UInt8(ascii: "S"))
    func run(_ work: inout [S], _ count: Int32) -> Int32 {
      switch driver {
      case .qrIteration:
        S._gesvd(
          job, columns, rows, &input, columns, &values, &vt, columns, &u, Int32(kept), &work, count)
      case .divideAndConquer, .randomized:
        S._gesdd(
          job, columns, rows, &input, columns, &values, &vt, columns, &u, Int32(kept), &work, count,
          &integers)
      }
    }
    var query: [S] = [0]
    try Workspace.checkArguments(run(&query, -1), routine)
    let count = try Workspace.count(
      query[0], routine, rows: matrix.rows, columns: matrix.columns)
    var work = [S](repeating: 0, count: Int(count))
    let info = run(&work, count)
    try Workspace.checkArguments(info, routine)
    guard info == 0 else {
      throw .notConverged(
        routine: routine, rows: matrix.rows, columns: matrix.columns, info: Int(info))
    }
    return SVDResult(
      u: Matrix(rows: matrix.rows, columns: kept, values: u), singularValues: values,
      vt: Matrix(rows: kept, columns: matrix.columns, values: vt), driver: driver)
  }
}
