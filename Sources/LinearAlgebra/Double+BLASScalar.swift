import COpenBLAS

extension Double: BLASScalar {
  public static func _gemm(
    _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ transposeA: Bool, _ b: UnsafePointer<Double>, _ ldb: Int32, _ transposeB: Bool,
    _ beta: Double,
    _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    cblas_dgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans,
      transposeB ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
  }

  public static func _gemv(
    _ m: Int32, _ n: Int32, _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ transposeA: Bool, _ x: UnsafePointer<Double>, _ beta: Double,
    _ y: UnsafeMutablePointer<Double>
  ) {
    cblas_dgemv(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, m, n, alpha, a, lda, x, 1, beta, y, 1)
  }

  public static func _syrk(
    _ n: Int32, _ k: Int32, _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ transposeA: Bool, _ beta: Double, _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    cblas_dsyrk(
      CblasRowMajor, CblasLower, transposeA ? CblasTrans : CblasNoTrans, n, k, alpha, a, lda, beta,
      c, ldc)
  }

  public static func _symm(
    _ m: Int32, _ n: Int32, _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ symmetricOnLeft: Bool, _ b: UnsafePointer<Double>, _ ldb: Int32, _ beta: Double,
    _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    cblas_dsymm(
      CblasRowMajor, symmetricOnLeft ? CblasLeft : CblasRight, CblasLower, m, n, alpha, a, lda, b,
      ldb, beta, c, ldc)
  }

  public static func _trsm(
    _ m: Int32, _ n: Int32, _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ triangle: Triangle, _ transposeA: Bool, _ triangleOnLeft: Bool,
    _ b: UnsafeMutablePointer<Double>, _ ldb: Int32
  ) {
    cblas_dtrsm(
      CblasRowMajor, triangleOnLeft ? CblasLeft : CblasRight,
      triangle == .lower ? CblasLower : CblasUpper, transposeA ? CblasTrans : CblasNoTrans,
      CblasNonUnit, m, n, alpha, a, lda, b, ldb)
  }

  public static func _nrm2(_ n: Int32, _ x: UnsafePointer<Double>, _ stride: Int32) -> Double {
    cblas_dnrm2(n, x, stride)
  }

  public static func _dot(_ n: Int32, _ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>)
    -> Double
  {
    cblas_ddot(n, x, 1, y, 1)
  }

  public static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Double>, _ u: UnsafeMutablePointer<Double>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Double>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Double>,
    _ lwork: Int32, _ iwork: UnsafeMutablePointer<Int32>
  ) -> Int32 {
    pith_dgesdd(job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, iwork)
  }

  public static func _gesvd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Double>, _ u: UnsafeMutablePointer<Double>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Double>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Double>,
    _ lwork: Int32
  ) -> Int32 {
    pith_dgesvd(job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork)
  }

  public static func _gelqf(
    _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32,
    _ tau: UnsafeMutablePointer<Double>, _ work: UnsafeMutablePointer<Double>, _ lwork: Int32
  ) -> Int32 {
    pith_dgelqf(m, n, a, lda, tau, work, lwork)
  }

  public static func _orglq(
    _ m: Int32, _ n: Int32, _ k: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32,
    _ tau: UnsafePointer<Double>, _ work: UnsafeMutablePointer<Double>, _ lwork: Int32
  ) -> Int32 {
    pith_dorglq(m, n, k, a, lda, tau, work, lwork)
  }

  public static func _syevd(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32,
    _ w: UnsafeMutablePointer<Double>, _ work: UnsafeMutablePointer<Double>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32 {
    pith_dsyevd(uplo, n, a, lda, w, work, lwork, iwork, liwork)
  }

  public static func _syevr(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32, _ first: Int32,
    _ last: Int32, _ w: UnsafeMutablePointer<Double>, _ z: UnsafeMutablePointer<Double>,
    _ ldz: Int32,
    _ isuppz: UnsafeMutablePointer<Int32>, _ work: UnsafeMutablePointer<Double>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32 {
    pith_dsyevr(
      uplo, n, a, lda, first, last, w, z, ldz, isuppz, work, lwork, iwork, liwork)
  }

  public static func _potrf(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32
  ) -> Int32 {
    pith_dpotrf(uplo, n, a, lda)
  }

  public static func _trtri(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Double>, _ lda: Int32
  ) -> Int32 {
    pith_dtrtri(uplo, n, a, lda)
  }
}
