/// Single calls of OpenBLAS, row-major, on the calling thread.
///
/// Extents beyond 2³¹ − 1 and leading dimensions below the row length are bugs of the caller; the
/// methods on matrices (`Gemm`, `Syrk`, `Cholesky`) check them and share out tiles.
public enum BLAS {
  /// C ← α·op(A)·op(B) + β·C with op(A) m × k, op(B) k × n, C m × n.
  ///
  /// `lda`, `ldb` and `ldc` are the distances between rows as stored, before any transposition.
  @inlinable
  public static func gemm<S: BLASScalar>(
    m: Int, n: Int, k: Int, alpha: S, a: UnsafePointer<S>, lda: Int, transposeA: Bool,
    b: UnsafePointer<S>, ldb: Int, transposeB: Bool, beta: S, c: UnsafeMutablePointer<S>, ldc: Int
  ) {
    prepare()
    S._gemm(
      Int32(m), Int32(n), Int32(k), alpha, a, Int32(max(lda, 1)), transposeA, b, Int32(max(ldb, 1)),
      transposeB, beta, c, Int32(max(ldc, 1)))
  }

  /// y ← α·op(A)·x + β·y with A m × n as stored; x and y contiguous.
  @inlinable
  public static func gemv<S: BLASScalar>(
    m: Int, n: Int, alpha: S, a: UnsafePointer<S>, lda: Int, transposeA: Bool, x: UnsafePointer<S>,
    beta: S, y: UnsafeMutablePointer<S>
  ) {
    prepare()
    S._gemv(Int32(m), Int32(n), alpha, a, Int32(max(lda, 1)), transposeA, x, beta, y)
  }

  /// C ← α·AᵀA + β·C (A k × n, `transposeA`) or α·AAᵀ + β·C (A n × k); the lower half only.
  @inlinable
  public static func syrk<S: BLASScalar>(
    n: Int, k: Int, alpha: S, a: UnsafePointer<S>, lda: Int, transposeA: Bool, beta: S,
    c: UnsafeMutablePointer<S>, ldc: Int
  ) {
    prepare()
    S._syrk(
      Int32(n), Int32(k), alpha, a, Int32(max(lda, 1)), transposeA, beta, c, Int32(max(ldc, 1)))
  }

  /// C ← α·A·B + β·C or α·B·A + β·C (`symmetricOnLeft` false), of A's lower half; C m × n.
  @inlinable
  public static func symm<S: BLASScalar>(
    m: Int, n: Int, alpha: S, a: UnsafePointer<S>, lda: Int, symmetricOnLeft: Bool,
    b: UnsafePointer<S>, ldb: Int, beta: S, c: UnsafeMutablePointer<S>, ldc: Int
  ) {
    prepare()
    S._symm(
      Int32(m), Int32(n), alpha, a, Int32(max(lda, 1)), symmetricOnLeft, b, Int32(max(ldb, 1)),
      beta,
      c, Int32(max(ldc, 1)))
  }

  /// B ← α·op(A)⁻¹·B or α·B·op(A)⁻¹ (`triangleOnLeft` false) with A triangular; B m × n.
  @inlinable
  public static func trsm<S: BLASScalar>(
    m: Int, n: Int, alpha: S, a: UnsafePointer<S>, lda: Int, triangle: Triangle, transposeA: Bool,
    triangleOnLeft: Bool, b: UnsafeMutablePointer<S>, ldb: Int
  ) {
    prepare()
    S._trsm(
      Int32(m), Int32(n), alpha, a, Int32(max(lda, 1)), triangle, transposeA, triangleOnLeft, b,
      Int32(max(ldb, 1)))
  }

  /// The Euclidean norm of n numbers, without overflow on the way.
  @inlinable
  public static func nrm2<S: BLASScalar>(n: Int, x: UnsafePointer<S>, stride: Int = 1) -> S {
    prepare()
    return S._nrm2(Int32(n), x, Int32(stride))
  }

  /// The inner product of n contiguous numbers.
  @inlinable
  public static func dot<S: BLASScalar>(n: Int, x: UnsafePointer<S>, y: UnsafePointer<S>) -> S {
    prepare()
    return S._dot(Int32(n), x, y)
  }

  /// Sets the library to one thread before its first use.
  @usableFromInline
  static func prepare() { OpenBLASLibrary.singleThreaded }
}
