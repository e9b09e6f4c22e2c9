/// A precision in which OpenBLAS computes: `Float` or `Double`.
///
/// The underscored requirements are one routine each, as the library has it; callers use `BLAS`,
/// `Gemm`, `Syrk`, `Cholesky`, `QR`, `SymmetricEigen` and `SVD`.
public protocol BLASScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
  static func _gemm(
    _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ transposeA: Bool, _ b: UnsafePointer<Self>, _ ldb: Int32, _ transposeB: Bool, _ beta: Self,
    _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)
  static func _gemv(
    _ m: Int32, _ n: Int32, _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ transposeA: Bool, _ x: UnsafePointer<Self>, _ beta: Self, _ y: UnsafeMutablePointer<Self>)
  static func _syrk(
    _ n: Int32, _ k: Int32, _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ transposeA: Bool, _ beta: Self, _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)
  static func _symm(
    _ m: Int32, _ n: Int32, _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ symmetricOnLeft: Bool, _ b: UnsafePointer<Self>, _ ldb: Int32, _ beta: Self,
    _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)
  static func _trsm(
    _ m: Int32, _ n: Int32, _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ triangle: Triangle, _ transposeA: Bool, _ triangleOnLeft: Bool,
    _ b: UnsafeMutablePointer<Self>, _ ldb: Int32)
  static func _nrm2(_ n: Int32, _ x: UnsafePointer<Self>, _ stride: Int32) -> Self
  static func _dot(_ n: Int32, _ x: UnsafePointer<Self>, _ y: UnsafePointer<Self>) -> Self

  static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Self>, _ u: UnsafeMutablePointer<Self>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Self>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Self>,
    _ lwork: Int32, _ iwork: UnsafeMutablePointer<Int32>
  ) -> Int32
  static func _gesvd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Self>, _ u: UnsafeMutablePointer<Self>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Self>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Self>,
    _ lwork: Int32
  ) -> Int32
  static func _gelqf(
    _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32,
    _ tau: UnsafeMutablePointer<Self>, _ work: UnsafeMutablePointer<Self>, _ lwork: Int32
  ) -> Int32
  static func _orglq(
    _ m: Int32, _ n: Int32, _ k: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32,
    _ tau: UnsafePointer<Self>, _ work: UnsafeMutablePointer<Self>, _ lwork: Int32
  ) -> Int32
  static func _syevd(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32,
    _ w: UnsafeMutablePointer<Self>, _ work: UnsafeMutablePointer<Self>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32
  static func _syevr(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32, _ first: Int32,
    _ last: Int32, _ w: UnsafeMutablePointer<Self>, _ z: UnsafeMutablePointer<Self>, _ ldz: Int32,
    _ isuppz: UnsafeMutablePointer<Int32>, _ work: UnsafeMutablePointer<Self>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32
  static func _potrf(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32
  ) -> Int32
  static func _trtri(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Self>, _ lda: Int32
  ) -> Int32
}

/// Which half of a square matrix holds its numbers, read row-major.
public enum Triangle: Sendable, Hashable {
  case lower, upper
}
