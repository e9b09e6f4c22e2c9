import LinearAlgebra
import Tensors

/// CorDA: components chosen by what an input distribution makes of them (Yang and others, 2024).
///
/// The weighting is the damped covariance itself, not its root, so the first components are not the
/// optimum of the output error (that is `SVD-LLM`'s); the method is kept as published. In f64 the
/// first damping always suffices: cond(C') ≤ 1 + n/damping (low-rank.md §4.3).
public enum ContextOriented {
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// Instruction-previewed: the components that matter most for the sampled task.
    case instruction = "ipa"
    /// Knowledge-preserving: those that matter least for the sampled knowledge.
    case knowledge = "kpa"
  }

  /// What CorDA adds to the covariance's diagonal, relative to its mean.
  public static let damping = 0.01

  /// The factors; the base keeps W − s·B·A.
  ///
  /// (1) C = I in mode `.instruction` gives PiSSA; (2) scaling C changes nothing; (3) no inverse of
  /// C' is formed: the factors are U·(UᵀW).
  ///
  /// A trailing end that is zero to rounding (a weight that was pruned or cut before) gives factors
  /// of zeros, which no gradient reaches: see `isDead`.
  ///
  /// - Parameter covariance: XᵀX of the inputs, any scale, in × in.
  /// - Throws: `LowRankError.weightingZero`, `.statisticsMismatch`, `.weightingNotFinite`,
  ///   `.rankOutOfRange`.
  public static func factors<S: BLASScalar>(
    _ matrix: Matrix<S>, covariance: Matrix<Double>, rank: Int, mode: Mode, scale: Double = 1,
    pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    let method = "corda"
    try InputWeighting.covariance(covariance).check(
      method, rows: matrix.rows, columns: matrix.columns)
    let order = covariance.rows
    let mean = (0..<order).reduce(0.0) { $0 + covariance[$1, $1] } / Double(max(order, 1))
    guard mean > 0 else { throw LowRankError.weightingZero(method: method) }
    // Over the mean: the result does not depend on the scale, and f32 keeps its range.
    var damped = covariance
    damped.values.withUnsafeMutableBufferPointer { values in
      for index in values.indices { values[index] /= mean }
    }
    for index in 0..<order { damped[index, index] += damping }
    // In f64 whatever the weight's type: the trailing components are differences of large numbers.
    let wide = try Projection.factors(
      of: matrix.inDouble, weighting: .covariance(damped), rank: rank,
      end: mode == .instruction ? .leading : .trailing, scale: scale, method: method, pool: pool)
    return ThinFactors(
      b: Matrix(rounding: wide.b), a: Matrix(rounding: wide.a), scale: scale,
      singularValues: wide.singularValues, spectrum: wide.spectrum)
  }
}

extension ThinFactors {
  /// Whether the factors are zero to rounding beside the whole: nothing could train them.
  public var isDead: Bool {
    let largest = spectrum?.first ?? singularValues.first ?? 0
    return (singularValues.first ?? 0) <= 1e-10 * largest
  }
}
