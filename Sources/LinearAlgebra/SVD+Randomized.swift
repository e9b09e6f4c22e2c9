import Tensors

extension SVD {
  /// The largest components by a Gaussian sketch with power iterations.
  ///
  /// Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1: a sketch `rank + oversample` wide
  /// (at most min(m, n)), re-orthonormalised by QR after every product, the small remainder
  /// decomposed exactly and cut to `rank`. A rank-r matrix comes back exactly with no iterations;
  /// for a slowly falling spectrum, 4 iterations with 10 more columns come within 1e-4 of the
  /// optimum, none of either misses it by tens of per cent.
  ///
  /// The same seed and stream give the same bits, with any number of workers.
  ///
  /// - Parameters:
  ///   - seed: keys the sketch; record it beside the result.
  ///   - stream: tells sketches of one seed apart, such as a tensor's number.
  /// - Throws: `LinearAlgebraError.notFinite`, `.empty`, `.rankOutOfRange`,
  ///   `.parameterOutOfRange`, `.tooLarge`, `.notConverged`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func randomized<S: BLASScalar>(
    _ matrix: Matrix<S>, rank: Int, oversample: Int = 10, iterations: Int = 4, seed: UInt64,
    stream: UInt32 = 0, pool: WorkerPool = .serial
  ) throws -> SVDResult<S> {
    let routine = "SVD.randomized"
    _ = try Workspace.extents(routine, rows: matrix.rows, columns: matrix.columns)
    try checkRank(rank, of: matrix, routine: routine)
    for (name, value) in [("oversample", oversample), ("iterations", iterations)] where value < 0 {
      throw LinearAlgebraError.parameterOutOfRange(
        routine: routine, name: name, value: "\(value)", allowed: "0 or more")
    }
    try Finiteness.check(matrix, routine: routine)
    let (longer, shorter) = (max(matrix.rows, matrix.columns), min(matrix.rows, matrix.columns))
    let width = oversample >= shorter - rank ? shorter : rank + oversample
    // A is the tall one of the matrix and its transpose: longer × shorter.
    let wide = matrix.rows < matrix.columns
    func timesA(_ x: Matrix<S>) throws -> Matrix<S> {
      try matrix.multiplied(by: x, transposeSelf: wide, pool: pool)
    }
    func timesATransposed(_ x: Matrix<S>) throws -> Matrix<S> {
      try matrix.multiplied(by: x, transposeSelf: !wide, pool: pool)
    }

    let normals = Philox(seed: seed).normals(
      count: shorter * width, tensor: stream, purpose: .sketch)
    let sketch = Matrix<S>(rows: shorter, columns: width, values: normals.map { S($0) })
    var basis = try QR.thin(timesA(sketch)).q
    for _ in 0..<iterations {
      basis = try QR.thin(timesATransposed(basis)).q
      basis = try QR.thin(timesA(basis)).q
    }
    assert(basis.rows == longer && basis.columns == width)
    // B = QᵀA, width × shorter; its transpose AᵀQ comes without transposing.
    let small = try exact(timesATransposed(basis)).truncated(to: rank)
    // AᵀQ = U'ΣV'ᵀ, so A ≈ (Q V') Σ U'ᵀ.
    let left = try basis.multiplied(by: small.vt, transposeOther: true, pool: pool)
    let right = small.u
    var result =
      wide
      ? SVDResult(
        u: right, singularValues: small.singularValues, vt: left.transposed, driver: .randomized)
      : SVDResult(
        u: left, singularValues: small.singularValues, vt: right.transposed, driver: .randomized)
    SignRule.apply(columns: &result.u, rows: &result.vt)
    return result
  }
}
