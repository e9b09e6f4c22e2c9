import LinearAlgebra
import Tensors

/// How an iterative solver got on; belongs in the record of a run.
public struct IterationReport: Sendable, Hashable {
  /// Products of a block with W·M·Wᵀ.
  public var iterations: Int
  /// Whether the next iteration was expected to gain less than the tolerance.
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
    /// Columns beyond the rank that the space must hold at least.
    public var oversample: Int
    /// Stops when the next block is expected to lower the squared error by less than this share.
    public var tolerance: Double
    public var maximumIterations: Int
    public var seed: UInt64
    public var stream: UInt32

    public init(
      oversample: Int = 24, tolerance: Double = 4e-5, maximumIterations: Int = 24,
      seed: UInt64 = 0, stream: UInt32 = 0
    ) {
      self.oversample = oversample
      self.tolerance = tolerance
      self.maximumIterations = maximumIterations
      self.seed = seed
      self.stream = stream
    }
  }

  /// The leading factors from a block Krylov space of W·M·Wᵀ, which is never formed.
  ///
  /// Each step multiplies a thin block by Wᵀ, M and W: no eigen-decomposition of M, no root, no
  /// inverse, no full singular value decomposition. All blocks are kept and orthogonal, so that a
  /// few of half the rank's width hold what a power iteration needs many wider ones for. What is
  /// left of tr(W·M·Wᵀ) is estimated from sixteen random probes that go through the first product
  /// with the block, and tells when to stop. Where the spectrum falls by more than five decades within
  /// the rank, f32 noise of the first components would drown the last ones: f64 goes on from where
  /// f32 stopped.
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
    var run = KrylovIteration<S>(matrix, weighting, rank: rank, options: options, pool: pool)
    try run.iterate()
    guard S.self != Double.self, run.isTooSteep else {
      return (try run.factors(scale: scale), run.report)
    }
    var wide = KrylovIteration<Double>(
      matrix.inDouble, weighting, rank: rank, options: options, pool: pool)
    wide.start = try run.leading()?.inDouble
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
