import LinearAlgebra
import Tensors

/// PiSSA: the principal part of W as factors, the rest as the base (Meng and others, 2024).
///
/// W = W_res + s·B·A holds to rounding whatever solver found the factors, since the residual is
/// taken from the factors as they are (low-rank.md §2.5). A weight of zeros gives factors of zeros,
/// which no gradient ever reaches.
public enum PrincipalComponents {
  /// By the exact decomposition: ‖W_res‖_F² is the sum of the other σ².
  public static func exact<S: BLASScalar>(
    _ matrix: Matrix<S>, rank: Int, scale: Double = 1, pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    try Projection.factors(of: matrix, rank: rank, scale: scale, method: "pissa", pool: pool)
  }

  /// By a random sketch: close to the optimum, many times faster.
  public static func fast<S: BLASScalar>(
    _ matrix: Matrix<S>, rank: Int, scale: Double = 1,
    options: Projection.SketchOptions = Projection.SketchOptions(), pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    try Projection.sketched(
      of: matrix, rank: rank, scale: scale, options: options, method: "pissa", pool: pool)
  }

  /// MiLoRA: the last components instead of the first, what fine-tuning may change at least cost.
  public static func minor<S: BLASScalar>(
    _ matrix: Matrix<S>, rank: Int, scale: Double = 1, pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    try Projection.factors(
      of: matrix, rank: rank, end: .trailing, scale: scale, method: "milora", pool: pool)
  }
}
