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
  /// A block Krylov space of W·Wᵀ in blocks of about half the rank: 3 + iterations/2 of them, and at
  /// least as many as the rank with `oversample` needs. For the same number of products with W a
  /// space of narrow blocks holds far more of the leading part than a power iteration as wide as the
  /// rank, which throws the earlier blocks away: with 4 iterations it makes a third of the products of
  /// `torch.svd_lowrank` (which has no oversampling) and has the smaller error. The images Wᵀ·Q that
  /// the iteration makes anyway are all that the last step needs. Without iterations one block is as
  /// wide as the sketch. Where the space would hold most of the short side, the Gram matrix is
  /// decomposed whole instead: quicker, and exact.
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
    try checkOptions(matrix, .none, rank: rank, scale: scale, method: method)
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
    let blocks = SketchBlocks(width: width, iterations: options.iterations)
    if options.iterations > 0, 2 * shorter <= 3 * blocks.columns {
      try checkFinite(matrix)
      return try byGram(matrix, rank, scale, pool)
    }
    return try byKrylov(matrix, rank, blocks, scale, options, pool)
  }

  /// The blocks of a sketch's Krylov space.
  private struct SketchBlocks {
    var width: Int
    var count: Int
    var columns: Int { width * count }

    init(width: Int, iterations: Int) {
      guard iterations > 0 else {
        (self.width, count) = (width, 1)
        return
      }
      let block = min(width, max(8, width / 16 * 8))
      self.width = block
      count = max(3 + iterations / 2, (width + block - 1) / block)
    }
  }

  /// The eigenvectors of the smaller Gram matrix.
  private static func byGram<S: BLASScalar>(
    _ matrix: Matrix<S>, _ rank: Int, _ scale: Double, _ pool: WorkerPool
  ) throws -> ThinFactors<S> {
    let isWide = matrix.rows <= matrix.columns
    let (vectors, values) = try leading(
      rank, ofGram: try Syrk.gram(matrix, ofRows: isWide, pool: pool)
    ) { try Syrk.gram(matrix.inDouble, ofRows: isWide, pool: pool) }
    guard (values.first ?? 0) > 0 else { return zero(matrix, rank, scale) }
    let projected =
      isWide
      ? try vectors.multiplied(by: matrix, transposeSelf: true, pool: pool)
      : try matrix.multiplied(by: vectors, pool: pool).transposed
    // W·V·Vᵀ of a tall weight: the projection from the right, the same kernel of the transpose.
    let factors = ThinFactors<S>.balanced(
      u: vectors, projected: projected, singularValues: values, largest: values.first ?? 0,
      scale: scale)
    return isWide ? factors : factors.turned
  }

  /// What the kept part may hold of the squared norm for bf16 to have been good enough: beyond, its
  /// rounding of the weight is no longer small beside what is left.
  private static let keptShare = 0.95
  /// ‖W‖_F² for which no product, of which some are squares, leaves bf16's range.
  private static let halfRange = 1e-20...1e20

  /// By bf16 products where the processor has them, else, and where they were too coarse, by f32's.
  ///
  /// The images that the iteration makes are all that the factors need: their noise, 2⁻⁹ of an entry
  /// and independent from entry to entry, enters what is left of the weight only squared. A weight
  /// that the factors hold nearly whole is taken again in its own precision.
  private static func byKrylov<S: BLASScalar>(
    _ matrix: Matrix<S>, _ rank: Int, _ blocks: SketchBlocks, _ scale: Double,
    _ options: SketchOptions, _ pool: WorkerPool
  ) throws -> ThinFactors<S> {
    if HalfProducts.isAvailable, let single = matrix as? Matrix<Float> {
      let half = HalfProducts(single)
      if halfRange.contains(half.squaredNorm) {
        let factors = try byKrylov(
          SketchProducts(matrix, half: half, pool: pool), rank, blocks, scale, options)
        let kept = factors.singularValues.reduce(0) { $0 + $1 * $1 }
        if kept < keptShare * half.squaredNorm { return factors }
      }
    }
    try checkFinite(matrix)
    return try byKrylov(
      SketchProducts(matrix, half: nil, pool: pool), rank, blocks, scale, options)
  }

  private static func byKrylov<S: BLASScalar>(
    _ products: SketchProducts<S>, _ rank: Int, _ blocks: SketchBlocks, _ scale: Double,
    _ options: SketchOptions
  ) throws -> ThinFactors<S> {
    let (matrix, pool) = (products.matrix, products.pool)
    let sketch: Matrix<S> = Sketch.signs(
      rows: products.columns, columns: blocks.width, seed: options.seed, stream: options.stream)
    var next = try products.multiplied(by: sketch)
    var strength = next.squaredNorm
    guard strength > 0 else { return zero(matrix, rank, scale) }
    var basis = KrylovBasis<S>(
      rows: products.rows, seed: options.seed, stream: options.stream, pool: pool)
    var images: [Matrix<S>] = []
    while let block = try basis.append(next, scale: strength) {
      let image = try products.multipliedTransposed(by: block)
      images.append(image)
      if images.count == blocks.count { break }
      let squares = image.squaredNorm
      strength = squares * squares / Double(image.columns)
      next = try products.multiplied(by: image)
    }
    let projected = Matrix<S>.sideBySide(images)
    let (rotation, values) = try leading(rank, ofGram: try Syrk.gram(projected, pool: pool)) {
      try Syrk.gram(projected.inDouble, pool: pool)
    }
    let factors = ThinFactors<S>.balanced(
      u: try basis.matrix.multiplied(by: rotation, pool: pool),
      projected: try rotation.multiplied(
        by: projected, transposeSelf: true, transposeOther: true, pool: pool),
      singularValues: values, largest: values.first ?? 0, scale: scale)
    return products.isTurned ? factors.turned : factors
  }

  /// The leading eigenvectors of a Gram matrix, and the roots of its eigenvalues.
  ///
  /// f32 where the kept values stand out of its rounding, f64 of a Gram matrix made in f64 elsewhere.
  private static func leading<S: BLASScalar>(
    _ rank: Int, ofGram gram: Matrix<S>, inDouble: () throws -> Matrix<Double>
  ) throws -> (vectors: Matrix<S>, values: [Double]) {
    func roots(_ values: [Double]) -> [Double] {
      values.prefix(rank).map { max(0, $0).squareRoot() }
    }
    let eigen = try SymmetricEigen.all(gram)
    let values = eigen.values.map { Double($0) }
    if S.self == Double.self || values[rank - 1] > 1e-4 * (values.first ?? 0) {
      return (eigen.vectors.columns(0..<rank), roots(values))
    }
    let wide = try SymmetricEigen.all(inDouble())
    return (Matrix<S>(rounding: wide.vectors.columns(0..<rank)), roots(wide.values))
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
