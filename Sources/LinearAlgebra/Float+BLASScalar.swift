import COpenBLAS

extension Float: BLASScalar {
  public static func _gemm(
    _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ transposeA: Bool, _ b: UnsafePointer<Float>, _ ldb: Int32, _ transposeB: Bool, _ beta: Float,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans,
      transposeB ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
  }

  public static func _gemv(
    _ m: Int32, _ n: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ transposeA: Bool, _ x: UnsafePointer<Float>, _ beta: Float, _ y: UnsafeMutablePointer<Float>
  ) {
    cblas_sgemv(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, m, n, alpha, a, lda, x, 1, beta, y, 1)
  }

  public static func _syrk(
    _ n: Int32, _ k: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ transposeA: Bool, _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    cblas_ssyrk(
      CblasRowMajor, CblasLower, transposeA ? CblasTrans : CblasNoTrans, n, k, alpha, a, lda, beta,
      c, ldc)
  }

  public static func _symm(
    _ m: Int32, _ n: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ symmetricOnLeft: Bool, _ b: UnsafePointer<Float>, _ ldb: Int32, _ beta: Float,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    cblas_ssymm(
      CblasRowMajor, symmetricOnLeft ? CblasLeft : CblasRight, CblasLower, m, n, alpha, a, lda, b,
      ldb, beta, c, ldc)
  }

  public static func _trsm(
    _ m: Int32, _ n: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ triangle: Triangle, _ transposeA: Bool, _ triangleOnLeft: Bool,
    _ b: UnsafeMutablePointer<Float>, _ ldb: Int32
  ) {
    cblas_strsm(
      CblasRowMajor, triangleOnLeft ? CblasLeft : CblasRight,
      triangle == .lower ? CblasLower : CblasUpper, transposeA ? CblasTrans : CblasNoTrans,
      CblasNonUnit, m, n, alpha, a, lda, b, ldb)
  }

  public static func _nrm2(_ n: Int32, _ x: UnsafePointer<Float>, _ stride: Int32) -> Float {
    cblas_snrm2(n, x, stride)
  }

  public static func _dot(_ n: Int32, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>) -> Float
  {
    cblas_sdot(n, x, 1, y, 1)
  }

  public static func _gesdd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Float>, _ u: UnsafeMutablePointer<Float>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Float>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Float>,
    _ lwork: Int32, _ iwork: UnsafeMutablePointer<Int32>
  ) -> Int32 {
    pith_sgesdd(job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, iwork)
  }

  public static func _gesvd(
    _ job: CChar, _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32,
    _ s: UnsafeMutablePointer<Float>, _ u: UnsafeMutablePointer<Float>, _ ldu: Int32,
    _ vt: UnsafeMutablePointer<Float>, _ ldvt: Int32, _ work: UnsafeMutablePointer<Float>,
    _ lwork: Int32
  ) -> Int32 {
    pith_sgesvd(job, m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork)
  }

  public static func _gelqf(
    _ m: Int32, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32,
    _ tau: UnsafeMutablePointer<Float>, _ work: UnsafeMutablePointer<Float>, _ lwork: Int32
  ) -> Int32 {
    pith_sgelqf(m, n, a, lda, tau, work, lwork)
  }

  public static func _orglq(
    _ m: Int32, _ n: Int32, _ k: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32,
    _ tau: UnsafePointer<Float>, _ work: UnsafeMutablePointer<Float>, _ lwork: Int32
  ) -> Int32 {
    pith_sorglq(m, n, k, a, lda, tau, work, lwork)
  }

  public static func _syevd(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32,
    _ w: UnsafeMutablePointer<Float>, _ work: UnsafeMutablePointer<Float>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32 {
    pith_ssyevd(uplo, n, a, lda, w, work, lwork, iwork, liwork)
  }

  public static func _syevr(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32, _ first: Int32,
    _ last: Int32, _ w: UnsafeMutablePointer<Float>, _ z: UnsafeMutablePointer<Float>, _ ldz: Int32,
    _ isuppz: UnsafeMutablePointer<Int32>, _ work: UnsafeMutablePointer<Float>, _ lwork: Int32,
    _ iwork: UnsafeMutablePointer<Int32>, _ liwork: Int32
  ) -> Int32 {
    pith_ssyevr(
      uplo, n, a, lda, first, last, w, z, ldz, isuppz, work, lwork, iwork, liwork)
  }

  public static func _potrf(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32
  ) -> Int32 {
    pith_spotrf(uplo, n, a, lda)
  }

  public static func _trtri(
    _ uplo: CChar, _ n: Int32, _ a: UnsafeMutablePointer<Float>, _ lda: Int32
  ) -> Int32 {
    pith_strtri(uplo, n, a, lda)
  }
}
