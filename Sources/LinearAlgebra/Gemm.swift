import Tensors

/// Matrix products, cut into tiles of the result that a pool's workers share out.
///
/// The tiles' borders depend on the extents alone, so that the result has the same bits with any
/// number of workers.
public enum Gemm {
  /// Rows and columns of the result that one tile covers, a function of the extents alone.
  ///
  /// Large tiles keep the share of packing low (512 × 512 costs about 8 % against one call); a
  /// product that would give fewer than four of them is cut finer, one below a few million
  /// operations not at all.
  static func tileExtents(m: Int, n: Int, k: Int) -> (rows: Int, columns: Int) {
    var (rows, columns) = (512, 512)
    if Double(m) * Double(n) * Double(k) < 2e6 { return (max(m, 1), max(n, 1)) }
    func tiles() -> Int { (m + rows - 1) / rows * ((n + columns - 1) / columns) }
    while tiles() < 4, max(rows, columns) > 64 {
      if min(rows, m) >= min(columns, n), rows > 64 { rows /= 2 } else { columns /= 2 }
    }
    return (rows, columns)
  }

  /// The operand's extents after an optional transposition.
  static func extents<S>(_ matrix: Matrix<S>, transposed: Bool) -> (rows: Int, columns: Int) {
    transposed ? (matrix.columns, matrix.rows) : (matrix.rows, matrix.columns)
  }

  /// op(left) · op(right).
  ///
  /// - Throws: `LinearAlgebraError.sizesDisagree` or `.tooLarge`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func product<S: BLASScalar>(
    _ left: Matrix<S>, transposed transposeLeft: Bool = false, _ right: Matrix<S>,
    transposed transposeRight: Bool = false, pool: WorkerPool = .serial
  ) throws -> Matrix<S> {
    let (m, k) = extents(left, transposed: transposeLeft)
    let (inner, n) = extents(right, transposed: transposeRight)
    try check("Gemm.product", m, k, inner, n)
    guard m > 0, n > 0, k > 0 else { return Matrix(rows: m, columns: n, repeating: 0) }
    return try Matrix(rows: m, columns: n) { target in
      try tiles(
        left, transposeLeft, right, transposeRight, alpha: 1, beta: 0, into: target.baseAddress,
        pool)
    }
  }

  /// target ← target − op(left) · op(right), without a copy of anything.
  ///
  /// - Throws: as `product`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func subtract<S: BLASScalar>(
    _ left: Matrix<S>, transposed transposeLeft: Bool = false, _ right: Matrix<S>,
    transposed transposeRight: Bool = false, from target: inout Matrix<S>,
    pool: WorkerPool = .serial
  ) throws {
    let (m, k) = extents(left, transposed: transposeLeft)
    let (inner, n) = extents(right, transposed: transposeRight)
    try check("Gemm.subtract", m, k, inner, n)
    guard target.rows == m, target.columns == n else {
      throw LinearAlgebraError.sizesDisagree(
        routine: "Gemm.subtract", left: "\(target.rows) × \(target.columns)", right: "\(m) × \(n)")
    }
    guard m > 0, n > 0, k > 0 else { return }
    try target.values.withUnsafeMutableBufferPointer { values in
      try tiles(
        left, transposeLeft, right, transposeRight, alpha: -1, beta: 1, into: values.baseAddress,
        pool)
    }
  }

  private static func check(
    _ routine: String, _ m: Int, _ k: Int, _ inner: Int, _ n: Int
  ) throws(LinearAlgebraError) {
    guard k == inner else {
      throw .sizesDisagree(routine: routine, left: "\(m) × \(k)", right: "\(inner) × \(n)")
    }
    if m > 0, n > 0, k > 0 {
      _ = try Workspace.extents(routine, rows: max(m, k), columns: max(n, k))
    }
  }

  /// result ← alpha · op(left) · op(right) + beta · result, tile by tile.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  private static func tiles<S: BLASScalar>(
    _ left: Matrix<S>, _ transposeLeft: Bool, _ right: Matrix<S>, _ transposeRight: Bool, alpha: S,
    beta: S, into target: UnsafeMutablePointer<S>?, _ pool: WorkerPool
  ) throws {
    let (m, k) = extents(left, transposed: transposeLeft)
    let n = extents(right, transposed: transposeRight).columns
    let (tileRows, tileColumns) = tileExtents(m: m, n: n, k: k)
    try left.values.withUnsafeBufferPointer { leftValues in
      try right.values.withUnsafeBufferPointer { rightValues in
        // Disjoint tiles of the result, shared operands: no two workers write to one place.
        nonisolated(unsafe) let result = target
        nonisolated(unsafe) let (leftBase, rightBase) = (
          leftValues.baseAddress, rightValues.baseAddress
        )
        let (lda, ldb) = (left.columns, right.columns)
        let across = (n + tileColumns - 1) / tileColumns
        try pool.forEach((m + tileRows - 1) / tileRows * across) { (tile: Int) throws -> Void in
          guard let a = leftBase, let b = rightBase, let c = result else { return }
          let row = tile / across * tileRows
          let column = tile % across * tileColumns
          BLAS.gemm(
            m: min(tileRows, m - row), n: min(tileColumns, n - column), k: k, alpha: alpha,
            a: a + (transposeLeft ? row : row * lda), lda: lda, transposeA: transposeLeft,
            b: b + (transposeRight ? column * ldb : column), ldb: ldb,
            transposeB: transposeRight, beta: beta, c: c + row * n + column, ldc: n)
        }
      }
    }
  }

  /// op(left) · op(right) by three plain loops, each sum in order in f64.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func reference<S: BLASScalar>(
    _ left: Matrix<S>, transposed transposeLeft: Bool = false, _ right: Matrix<S>,
    transposed transposeRight: Bool = false
  ) -> Matrix<S> {
    let (m, k) = extents(left, transposed: transposeLeft)
    let (inner, n) = extents(right, transposed: transposeRight)
    precondition(k == inner, "\(m) × \(k) times \(inner) × \(n)")
    var result = Matrix<S>(rows: m, columns: n, repeating: 0)
    for row in 0..<m {
      for column in 0..<n {
        var sum = 0.0
        for index in 0..<k {
          let a = transposeLeft ? left[index, row] : left[row, index]
          let b = transposeRight ? right[column, index] : right[index, column]
          sum += Double(a) * Double(b)
        }
        result[row, column] = S(sum)
      }
    }
    return result
  }
}

extension Matrix where Element: BLASScalar {
  /// op(self) · op(other), tiled over a pool; the same bits with any number of workers.
  ///
  /// - Throws: `LinearAlgebraError.sizesDisagree` or `.tooLarge`.
  public func multiplied(
    by other: Matrix, transposeSelf: Bool = false, transposeOther: Bool = false,
    pool: WorkerPool = .serial
  ) throws -> Matrix {
    try Gemm.product(
      self, transposed: transposeSelf, other, transposed: transposeOther, pool: pool)
  }
}
