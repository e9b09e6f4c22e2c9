import LinearAlgebra
import Tensors

/// The state of a block Krylov iteration on G = W·M·Wᵀ.
struct KrylovIteration<S: BLASScalar> {
  let matrix: Matrix<S>
  let weighting: WeightingOperator<S>
  let rank: Int
  let options: Projection.IterativeOptions
  let pool: WorkerPool
  /// A subspace to start from instead of a random one.
  var start: Matrix<S>?
  var report: IterationReport
  private var basis: KrylovBasis<S>
  private var ritz: SymmetricEigenResult<Double>?

  private static var probes: Int { 16 }

  init(
    _ matrix: Matrix<S>, _ weighting: InputWeighting, rank: Int,
    options: Projection.IterativeOptions, pool: WorkerPool
  ) {
    self.matrix = matrix
    self.weighting = WeightingOperator(weighting)
    self.rank = rank
    self.options = options
    self.pool = pool
    basis = KrylovBasis(
      rows: matrix.rows, seed: options.seed, stream: options.stream, pool: pool)
    report = IterationReport(
      iterations: 0, converged: false, lastGain: .infinity, finishedInDouble: false,
      seed: options.seed)
  }

  /// Whether f32's noise of the largest component reaches the last one kept.
  var isTooSteep: Bool {
    guard let values = ritz?.values, let first = values.first, first > 0 else { return false }
    return values[rank - 1] < 1e-5 * first
  }

  /// Columns of a block: half the rank keeps products dense and the space narrow.
  private var width: Int {
    min(matrix.rows, matrix.columns, max(16, (rank / 2 + 7) / 8 * 8))
  }

  private func applied(_ block: Matrix<S>) throws -> Matrix<S> {
    let inner = try matrix.multiplied(by: block, transposeSelf: true, pool: pool)
    return try matrix.multiplied(by: weighting.applied(to: inner, pool: pool), pool: pool)
  }

  mutating func iterate() throws {
    let limit = min(matrix.rows, matrix.columns)
    let probes: Matrix<S> = Sketch.signs(
      rows: matrix.rows, columns: Self.probes, seed: options.seed, stream: options.stream, query: 1)
    let sketch: Matrix<S> =
      start
      ?? Sketch.signs(
        rows: matrix.rows, columns: width, seed: options.seed, stream: options.stream)
    let first = try applied(.sideBySide([sketch, probes]))
    report.iterations = 1
    var next = first.columns(0..<sketch.columns)
    guard next.squaredNorm > 0 else { return }
    var space = ProjectedSpace(
      probes: probes, probed: first.columns(sketch.columns..<first.columns))
    var captured = 0.0
    var gains: [Double] = []
    while let block = try basis.append(next) {
      next = try applied(block)
      report.iterations += 1
      try space.append(block, image: next, blocks: basis.blocks, pool: pool)
      let isWhole = basis.columns >= matrix.rows
      let isLast = report.iterations >= options.maximumIterations || isWhole
      guard basis.columns >= min(limit, rank + options.oversample) || isLast else { continue }
      guard basis.columns >= rank else { continue }
      let eigen = try SymmetricEigen.all(space.matrix)
      ritz = eigen
      let now = eigen.values.prefix(rank).reduce(0) { $0 + max(0, $1) }
      let left = try space.remainder(rank, eigen)
      report.lastGain = (now - captured) / max(left, now * 1e-12)
      captured = now
      gains.append(report.lastGain)
      report.converged = isWhole || Self.expectedGain(after: gains) <= options.tolerance
      if report.converged || isLast { return }
    }
  }

  /// What the next block is expected to gain: the last one's gain, less by the ratio of the last two.
  ///
  /// A Krylov space converges faster than geometrically, so the ratio is on the safe side; the first
  /// gain is that over nothing, and no ratio is taken of it.
  private static func expectedGain(after gains: [Double]) -> Double {
    guard let last = gains.last else { return .infinity }
    guard gains.count > 2, gains[gains.count - 2] > 0 else { return last }
    return last * min(1, last / gains[gains.count - 2])
  }

  /// The leading directions found, orthonormal; nil where there is nothing at all.
  func leading() throws -> Matrix<S>? {
    guard let ritz else { return nil }
    let rotation = Matrix<S>(rounding: ritz.vectors.columns(0..<rank))
    return try OrthonormalBasis.of(
      try basis.matrix.multiplied(by: rotation, pool: pool), pool: pool)
  }

  func factors(scale: Double) throws -> ThinFactors<S> {
    guard let u = try leading(), let ritz else {
      return Projection.zero(matrix, rank, scale)
    }
    let values = ritz.values.prefix(rank).map { max(0, $0).squareRoot() }
    var factors = ThinFactors<S>.balanced(
      u: u, projected: try u.multiplied(by: matrix, transposeSelf: true, pool: pool),
      singularValues: values, largest: values.first ?? 0, scale: scale)
    factors.singularValues = values.map { $0 * weighting.unit }
    return factors
  }
}

/// G within a space, QᵀGQ, and what the probes see of it, grown block by block.
private struct ProjectedSpace<S: BLASScalar> {
  private let probes: Matrix<S>
  private let probed: Matrix<S>
  /// QᵀGQ, symmetric.
  private(set) var matrix = Matrix<Double>(rows: 0, columns: 0, values: [])
  /// Qᵀz, a row for each column of Q.
  private var along: [Double] = []
  /// (GQ)ᵀz.
  private var across: [Double] = []

  init(probes: Matrix<S>, probed: Matrix<S>) {
    self.probes = probes
    self.probed = probed
  }

  mutating func append(
    _ block: Matrix<S>, image: Matrix<S>, blocks: [Matrix<S>], pool: WorkerPool
  ) throws {
    let (old, width) = (matrix.rows, block.columns)
    let new = old + width
    let last = try Matrix<S>.sideBySide(blocks).multiplied(
      by: image, transposeSelf: true, pool: pool
    ).inDouble
    var grown = Matrix<Double>(rows: new, columns: new, repeating: 0)
    for row in 0..<old {
      for column in 0..<old { grown[row, column] = matrix[row, column] }
    }
    for row in 0..<new {
      for column in 0..<width {
        grown[row, old + column] = last[row, column]
        if row < old { grown[old + column, row] = last[row, column] }
      }
    }
    Projection.symmetrise(&grown)
    matrix = grown
    along += try block.multiplied(by: probes, transposeSelf: true, pool: pool).inDouble.values
    across += try image.multiplied(by: probes, transposeSelf: true, pool: pool).inDouble.values
  }

  /// tr((I − P)·G·(I − P)) for the projection P on the leading directions V = Q·R, from the probes:
  /// zᵀGz − 2·(zᵀV)(VᵀGz) + (zᵀV)(VᵀGV)(Vᵀz).
  func remainder(_ rank: Int, _ eigen: SymmetricEigenResult<Double>) throws -> Double {
    let kept = eigen.vectors.columns(0..<rank)
    func turned(_ values: [Double]) throws -> Matrix<Double> {
      try kept.multiplied(
        by: Matrix(rows: matrix.rows, columns: probes.columns, values: values),
        transposeSelf: true)
    }
    let (along, across) = (try turned(along), try turned(across))
    var sum = zip(probes.values, probed.values).reduce(0.0) {
      $0 + Double($1.0) * Double($1.1)
    }
    for index in 0..<rank {
      for probe in 0..<probes.columns {
        sum -= 2 * along[index, probe] * across[index, probe]
        sum += along[index, probe] * along[index, probe] * eigen.values[index]
      }
    }
    return max(0, sum / Double(probes.columns))
  }
}
