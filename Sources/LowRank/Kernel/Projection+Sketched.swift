import LinearAlgebra
import Tensors

extension Projection {
  /// The randomized decomposition's choices; they are recorded beside the result.
  public struct SketchOptions: Sendable, Hashable {
    /// Power iterations, 0 to 64: what `pissa_niter_N` calls N.
    public var iterations: Int
    /// Columns beyond the rank.
    public var oversample: Int
    public var seed: UInt64
    /// Tells sketches of one seed apart, such as a tensor's number.
    public var stream: UInt32

    public init(
      iterations: Int = 4, oversample: Int = 10, seed: UInt64 = 0, stream: UInt32 = 0
    ) {
      self.iterations = iterations
      self.oversample = oversample
      self.seed = seed
      self.stream = stream
    }
  }

  /// Nearly the leading factors of an unweighted matrix, from a random sketch.
  ///
  /// Two roads, chosen by their cost. Where the short side is at most eight sketches wide, its Gram
  /// matrix is formed once and every power iteration is a product with that. Elsewhere a block
  /// Krylov space: half the iterations, each block kept and orthogonal to those before, and the
  /// images Wᵀ·Q that the iteration makes anyway are all that the last step needs. Both beat a
  /// power iteration of the same number without oversampling (`torch.svd_lowrank`).
  ///
  /// (1) Never better than `factors(of:)` of the same rank; (2) a rank-r matrix comes back exactly,
  /// with 0 iterations too; (3) the same seed and stream give the same bits.
  ///
  /// - Throws: `LowRankError.rankOutOfRange`, `.optionOutOfRange`; `LinearAlgebraError`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func sketched<S: BLASScalar>(
    of matrix: Matrix<S>, rank: Int, scale: Double = 1, options: SketchOptions = SketchOptions(),
    method: String = "low rank", pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    try check(matrix, .none, rank: rank, scale: scale, method: method)
    guard (0...64).contains(options.iterations) else {
      throw LowRankError.optionOutOfRange(
        name: "iterations", value: "\(options.iterations)", allowed: "from 0 to 64")
    }
    guard options.oversample >= 0 else {
      throw LowRankError.optionOutOfRange(
        name: "oversample", value: "\(options.oversample)", allowed: "0 or more")
    }
    let shorter = min(matrix.rows, matrix.columns)
    let width = min(shorter, rank + options.oversample)
    if options.iterations > 1, shorter <= 8 * width {
      return try byGram(matrix, rank, width, scale, options, pool)
    }
    return try byKrylov(matrix, rank, width, scale, options, pool)
  }

  private static func byGram<S: BLASScalar>(
    _ matrix: Matrix<S>, _ rank: Int, _ width: Int, _ scale: Double, _ options: SketchOptions,
    _ pool: WorkerPool
  ) throws -> ThinFactors<S> {
    let isWide = matrix.rows <= matrix.columns
    let gram = try Syrk.gram(matrix, ofRows: isWide, pool: pool)
    let sketch: Matrix<S> = Sketch.signs(
      rows: gram.rows, columns: width, seed: options.seed, stream: options.stream)
    var image = try gram.multiplied(by: sketch, pool: pool)
    guard image.squaredNorm > 0 else { return zero(matrix, rank, scale) }
    var basis = image
    for _ in 0..<options.iterations {
      basis = try OrthonormalBasis.of(image, pool: pool)
      image = try gram.multiplied(by: basis, pool: pool)
    }
    var small = try basis.multiplied(by: image, transposeSelf: true, pool: pool).inDouble
    symmetrise(&small)
    let eigen = try SymmetricEigen.all(small)
    let vectors = try OrthonormalBasis.of(
      basis.multiplied(by: Matrix<S>(rounding: eigen.vectors.columns(0..<rank)), pool: pool),
      pool: pool)
    let values = eigen.values.prefix(rank).map { max(0, $0).squareRoot() }
    if isWide {
      return .balanced(
        u: vectors,
        projected: try vectors.multiplied(by: matrix, transposeSelf: true, pool: pool),
        singularValues: values, largest: values.first ?? 0, scale: scale)
    }
    // W·V·Vᵀ: the projection from the right, the same kernel of the transpose.
    let turned = ThinFactors<S>.balanced(
      u: vectors,
      projected: try vectors.multiplied(
        by: matrix, transposeSelf: true, transposeOther: true, pool: pool),
      singularValues: values, largest: values.first ?? 0, scale: scale)
    return ThinFactors(
      b: turned.a.transposed, a: turned.b.transposed, scale: scale, singularValues: values)
  }

  private static func byKrylov<S: BLASScalar>(
    _ matrix: Matrix<S>, _ rank: Int, _ width: Int, _ scale: Double, _ options: SketchOptions,
    _ pool: WorkerPool
  ) throws -> ThinFactors<S> {
    func image(_ block: Matrix<S>) throws -> Matrix<S> {
      try matrix.multiplied(by: block, transposeSelf: true, pool: pool)
    }
    let sketch: Matrix<S> = Sketch.signs(
      rows: matrix.columns, columns: width, seed: options.seed, stream: options.stream)
    let first = try matrix.multiplied(by: sketch, pool: pool)
    guard first.squaredNorm > 0 else { return zero(matrix, rank, scale) }
    var bases = [try OrthonormalBasis.of(first, passes: 2, pool: pool)]
    var images = [try image(bases[0])]
    for _ in 0..<(options.iterations + 1) / 2 {
      let room = min(matrix.rows, matrix.columns) - bases.reduce(0) { $0 + $1.columns }
      guard room > 0, let last = images.last else { break }
      var next = try matrix.multiplied(by: last, pool: pool)
      if next.columns > room { next = next.columns(0..<room) }
      // Twice is enough (Giraud and others, 2005).
      for _ in 0..<2 {
        for basis in bases {
          let along = try basis.multiplied(by: next, transposeSelf: true, pool: pool)
          next = next.subtracting(try basis.multiplied(by: along, pool: pool))
        }
      }
      // What is left of a matrix of low rank is rounding noise; there is nothing more to find.
      guard next.squaredNorm > Double(S.ulpOfOne) * last.squaredNorm else { break }
      let basis = try OrthonormalBasis.of(next, passes: 2, pool: pool)
      bases.append(basis)
      images.append(try image(basis))
    }
    let basis = Matrix<S>.sideBySide(bases)
    let projected = Matrix<S>.sideBySide(images)
    let small = try Syrk.gram(projected, pool: pool)
    let eigen =
      small.rows > 2 * rank
      ? try SymmetricEigen.largest(rank, of: small) : try SymmetricEigen.all(small)
    let rotation = eigen.vectors.columns(0..<rank)
    let values = eigen.values.prefix(rank).map { max(0, Double($0)).squareRoot() }
    return .balanced(
      u: try basis.multiplied(by: rotation, pool: pool),
      projected: try rotation.multiplied(
        by: projected, transposeSelf: true, transposeOther: true, pool: pool),
      singularValues: values, largest: values.first ?? 0, scale: scale)
  }

  /// Factors of zeros, for a weight of zeros.
  static func zero<S: BLASScalar>(
    _ matrix: Matrix<S>, _ rank: Int, _ scale: Double
  ) -> ThinFactors<S> {
    ThinFactors(
      b: Matrix(rows: matrix.rows, columns: rank, repeating: 0),
      a: Matrix(rows: rank, columns: matrix.columns, repeating: 0), scale: scale,
      singularValues: [Double](repeating: 0, count: rank))
  }
}
