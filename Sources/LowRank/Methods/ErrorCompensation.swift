import LinearAlgebra
import Tensors

/// Factors that make good what a compression lost: Δ = W − Ŵ (low-rank.md §5, §7, §8).
public enum ErrorCompensation {
  /// How an error in each input direction is weighed.
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// Not at all: LoRC, LQER, ZeroQuant-V2.
    case plain
    /// By the mean of |x|: L²QER.
    case absoluteMean
    /// By the root of the mean of x²: QERA's approximation.
    case rootMeanSquare
    /// By XᵀX: EoRA, QERA-exact; the optimum of the output's error.
    case gram
  }

  /// L²QER's weights from the mean of |x|: at least 1e-4, over √(min·max).
  public static func scales(absoluteMeans: [Double]) -> [Double] {
    let clamped = absoluteMeans.map { max($0, 1e-4) }
    let middle = ((clamped.min() ?? 1) * (clamped.max() ?? 1)).squareRoot()
    return clamped.map { $0 / middle }
  }

  /// The best factors of Δ under a weighting, by the dense solver for small matrices and in
  /// a Krylov space for large ones.
  ///
  /// (1) Among factors of this rank none has a smaller ‖(Δ − B·A)·S‖_F; (2) Δ = 0 and M = 0 give
  /// factors of zeros; (3) scaling M changes nothing; (4) the error falls with the rank.
  ///
  /// - Throws: as `Projection.factors`.
  public static func factors<S: BLASScalar>(
    _ error: Matrix<S>, weighting: InputWeighting, rank: Int, scale: Double = 1,
    options: Projection.IterativeOptions = Projection.IterativeOptions(),
    method: String = "eora", pool: WorkerPool = .serial
  ) throws -> (factors: ThinFactors<S>, report: IterationReport?) {
    if min(error.rows, error.columns) <= denseOrder || 4 * rank > min(error.rows, error.columns) {
      let factors = try Projection.factors(
        of: error, weighting: weighting, rank: rank, scale: scale, method: method, pool: pool)
      return (factors, nil)
    }
    let result = try Projection.iterative(
      of: error, weighting: weighting, rank: rank, scale: scale, options: options, method: method,
      pool: pool)
    return (result.factors, result.report)
  }

  /// The short side up to which the dense solver is the quicker one.
  static let denseOrder = 256

  /// GPTQModel's form of EoRA, through a truncated inverse of H's root, for adapters that must
  /// agree with its own where H is singular: directions that no token reached stay as they are.
  ///
  /// Eigenvalues up to n·2⁻²³ of the largest count as zero, negative ones too (GPTQModel #3014).
  ///
  /// - Throws: as `Projection.factors`.
  public static func truncatedInverse(
    _ error: Matrix<Double>, gram: Matrix<Double>, rank: Int, scale: Double = 1,
    pool: WorkerPool = .serial
  ) throws -> ThinFactors<Double> {
    try Projection.check(error, .gram(gram), rank: rank, scale: scale, method: "eora")
    let eigen = try SymmetricEigen.all(gram)
    let largest = max(eigen.values.first ?? 0, 0)
    let cutoff = largest * min(1, Double(gram.rows) * 0x1p-23)
    let roots = eigen.values.map { $0 > cutoff ? $0.squareRoot() : 0 }
    let inverses = roots.map { $0 > 0 ? 1 / $0 : 0 }
    let weighted = try error.multiplied(
      by: eigen.vectors.scalingColumns(by: roots), pool: pool)
    let decomposed = try SVD.exact(weighted)
    let spectrum = decomposed.singularValues
    let vt = decomposed.vt.rows(0..<rank)
    let right = try vt.multiplied(
      by: eigen.vectors.scalingColumns(by: inverses), transposeOther: true, pool: pool)
    let kept = Array(spectrum[..<rank])
    return .balanced(
      u: decomposed.u.columns(0..<rank), projected: right.scalingRows(by: kept),
      singularValues: kept, largest: spectrum.first ?? 0, scale: scale, spectrum: spectrum)
  }
}
