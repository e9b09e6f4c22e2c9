import LinearAlgebra
import Tensors

/// How an iterative solver got on; belongs in the record of a run.
public struct IterationReport: Sendable, Hashable {
  /// Products with W·M·Wᵀ.
  public var iterations: Int
  /// Whether the last iteration gained less than the tolerance.
  public var converged: Bool
  /// The last iteration's gain over what is left, an estimate: ΔΣσ² / Σ_{i>r}σ².
  public var lastGain: Double
  /// Whether the spectrum was so steep that f64 finished the work.
  public var finishedInDouble: Bool
  public var seed: UInt64
}

extension Projection {
  /// Options of the iterative solver.
  public struct IterativeOptions: Sendable, Hashable {
    /// Columns beyond the rank that the subspace carries along.
    public var oversample: Int
    /// Stops when an iteration lowers the squared error by less than this share.
    public var tolerance: Double
    public var maximumIterations: Int
    public var seed: UInt64
    public var stream: UInt32

    public init(
      oversample: Int = 24, tolerance: Double = 4e-5, maximumIterations: Int = 40,
      seed: UInt64 = 0, stream: UInt32 = 0
    ) {
      self.oversample = oversample
      self.tolerance = tolerance
      self.maximumIterations = maximumIterations
      self.seed = seed
      self.stream = stream
    }
  }

  /// The leading factors by blocked subspace iteration on W·M·Wᵀ, which is never formed.
  ///
  /// Each iteration multiplies a thin block by Wᵀ, M and W: no eigen-decomposition of M, no root,
  /// no inverse, no full singular value decomposition. What is left of tr(W·M·Wᵀ) is estimated
  /// from sixteen random probes that go through the first product with the block, and tells when
  /// to stop. Where the spectrum falls by more than five decades within the rank, f32 noise of the
  /// first components would drown the last ones: f64 goes on from where f32 stopped.
  ///
  /// The same seed and stream give the same bits with any number of workers.
  ///
  /// - Throws: as `factors(of:weighting:rank:end:scale:method:pool:)`.
  public static func iterative<S: BLASScalar>(
    of matrix: Matrix<S>, weighting: InputWeighting, rank: Int, scale: Double = 1,
    options: IterativeOptions = IterativeOptions(), method: String = "low rank",
    pool: WorkerPool = .serial
  ) throws -> (factors: ThinFactors<S>, report: IterationReport) {
    try check(matrix, weighting, rank: rank, scale: scale, method: method)
    var run = SubspaceIteration<S>(matrix, weighting, rank: rank, options: options, pool: pool)
    try run.iterate()
    guard S.self != Double.self, run.isTooSteep else {
      return (try run.factors(scale: scale), run.report)
    }
    var wide = SubspaceIteration<Double>(
      matrix.inDouble, weighting, rank: rank, options: options, pool: pool)
    wide.start = run.basis?.inDouble
    try wide.iterate()
    wide.report.iterations += run.report.iterations
    wide.report.finishedInDouble = true
    let result = try wide.factors(scale: scale)
    return (
      ThinFactors(
        b: Matrix(rounding: result.b), a: Matrix(rounding: result.a), scale: scale,
        singularValues: result.singularValues), wide.report
    )
  }
}

/// The state of a blocked subspace iteration.
struct SubspaceIteration<S: BLASScalar> {
  let matrix: Matrix<S>
  let weighting: WeightingOperator<S>
  let rank: Int
  let options: Projection.IterativeOptions
  let pool: WorkerPool
  /// A subspace to start from instead of a random one.
  var start: Matrix<S>?
  private(set) var basis: Matrix<S>?
  private var ritz: SymmetricEigenResult<Double>?
  var report: IterationReport

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
    report = IterationReport(
      iterations: 0, converged: false, lastGain: .infinity, finishedInDouble: false,
      seed: options.seed)
  }

  /// Whether f32's noise of the largest component reaches the last one kept.
  var isTooSteep: Bool {
    guard let values = ritz?.values, let first = values.first, first > 0 else { return false }
    return values[rank - 1] < 1e-5 * first
  }

  private func applied(_ block: Matrix<S>) throws -> Matrix<S> {
    let inner = try matrix.multiplied(by: block, transposeSelf: true, pool: pool)
    return try matrix.multiplied(by: weighting.applied(to: inner, pool: pool), pool: pool)
  }

  mutating func iterate() throws {
    let limit = min(matrix.rows, matrix.columns)
    let width = min(limit, rank + options.oversample)
    let probes: Matrix<S> = Sketch.signs(
      rows: matrix.rows, columns: Self.probes, seed: options.seed, stream: options.stream, query: 1)
    let sketch: Matrix<S> =
      start
      ?? Sketch.signs(
        rows: matrix.rows, columns: width, seed: options.seed, stream: options.stream)
    let first = try applied(.sideBySide([sketch, probes]))
    let probed = first.columns(sketch.columns..<first.columns)
    var image = first.columns(0..<sketch.columns)
    report.iterations = 1
    var captured = 0.0
    guard image.squaredNorm > 0 else { return }
    while true {
      let current = try OrthonormalBasis.of(image, pool: pool)
      image = try applied(current)
      report.iterations += 1
      var small = try current.multiplied(by: image, transposeSelf: true, pool: pool).inDouble
      Projection.symmetrise(&small)
      let eigen = try SymmetricEigen.all(small)
      (basis, ritz) = (current, eigen)
      let now = eigen.values.prefix(rank).reduce(0) { $0 + max(0, $1) }
      let left = try remainder(probes, probed, current, image, eigen)
      report.lastGain = (now - captured) / max(left, now * 1e-12)
      captured = now
      if report.iterations > 2, report.lastGain <= options.tolerance { report.converged = true }
      if report.converged || report.iterations >= options.maximumIterations { return }
    }
  }

  /// tr((I − P)·G·(I − P)) for the projection P on the kept directions, from the probes z: with
  /// V = Q·R kept, zᵀGz − 2·(zᵀV)(VᵀGz) + (zᵀV)(VᵀGV)(Vᵀz).
  private func remainder(
    _ probes: Matrix<S>, _ probed: Matrix<S>, _ basis: Matrix<S>, _ image: Matrix<S>,
    _ eigen: SymmetricEigenResult<Double>
  ) throws -> Double {
    let kept = eigen.vectors.columns(0..<rank)
    let along = try kept.multiplied(
      by: basis.multiplied(by: probes, transposeSelf: true, pool: pool).inDouble,
      transposeSelf: true)
    let across = try kept.multiplied(
      by: image.multiplied(by: probes, transposeSelf: true, pool: pool).inDouble,
      transposeSelf: true)
    var sum = zip(probes.values, probed.values).reduce(0.0) {
      $0 + Double($1.0) * Double($1.1)
    }
    for index in 0..<rank {
      for probe in 0..<probes.columns {
        let place = index * probes.columns + probe
        sum -= 2 * along.values[place] * across.values[place]
        sum += along.values[place] * along.values[place] * eigen.values[index]
      }
    }
    return max(0, sum / Double(probes.columns))
  }

  func factors(scale: Double) throws -> ThinFactors<S> {
    guard let basis, let ritz else {
      // Nothing at all: W or M is zero.
      return ThinFactors(
        b: Matrix(rows: matrix.rows, columns: rank, repeating: 0),
        a: Matrix(rows: rank, columns: matrix.columns, repeating: 0), scale: scale,
        singularValues: [Double](repeating: 0, count: rank))
    }
    let rotation = Matrix<S>(rounding: ritz.vectors.columns(0..<rank))
    let u = try OrthonormalBasis.of(
      try basis.multiplied(by: rotation, pool: pool), pool: pool)
    let values = ritz.values.prefix(rank).map { max(0, $0).squareRoot() }
    return .balanced(
      u: u, projected: try u.multiplied(by: matrix, transposeSelf: true, pool: pool),
      singularValues: values, largest: values.first ?? 0, scale: scale)
  }
}
