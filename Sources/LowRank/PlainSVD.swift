import LinearAlgebra
import Tensors
import Weights

/// Low-rank paths by the plain singular value decomposition.
///
/// Factors are balanced, B = U·√σ and A = √σ·Vᵀ, and rounded to their type first; only then is
/// anything subtracted, so that the sum is right to the base's own rounding (low-rank.md §1.6).
public enum PlainSVD {
  /// `of: weight`: the factors take the principal part of W, the base keeps the residual.
  ///
  /// (1) The sum is what it was, to rounding, whatever the base was before: a base that is
  /// compressed already gives its decoded values, and the factors' product is taken from those;
  /// (2) the base is dense f32 afterwards, and the mask, which the residual fills, is gone;
  /// (3) what other parts (outliers, earlier paths) hold of W is not taken again.
  ///
  /// `original` is the dense weight for the original inputs, out × in.
  ///
  /// - Throws: `WeightsError.baseMissing`, `.sizesDiffer`, `.rankOutOfRange`,
  ///   `.factorTypeUnsupported`, `.valueNotFinite`, `.decompositionFailed`.
  public static func decompose(
    _ weight: CompressedWeight, original: Matrix<Float>, rank: Int, factorType: DType = .f16
  ) throws(WeightsError) -> CompressedWeight {
    let target = try LowRankParts.target(
      of: weight, original: original, operation: "low_rank of: weight")
    return LowRankParts.splitting(
      try path(for: target, rank: rank, factorType: factorType), off: weight)
  }

  /// `of: error`: the factors take the principal part of W − Ŵ; everything else stays.
  ///
  /// A weight without any error comes back unchanged: a path of zeros would only cost bytes.
  ///
  /// - Throws: as `decompose`, but for the base, which may be missing.
  public static func repair(
    _ weight: CompressedWeight, original: Matrix<Float>, rank: Int, factorType: DType = .f16
  ) throws(WeightsError) -> CompressedWeight {
    let error = try LowRankParts.error(
      of: weight, original: original, operation: "low_rank of: error")
    try checkRank(rank, of: error)
    guard error.values.contains(where: { $0 != 0 }) else { return weight }
    return LowRankParts.adding(
      try path(for: error, rank: rank, factorType: factorType), to: weight)
  }

  private static func checkRank(_ rank: Int, of matrix: Matrix<Float>) throws(WeightsError) {
    guard rank >= 1, rank <= min(matrix.rows, matrix.columns) else {
      throw .rankOutOfRange(rank: rank, rows: matrix.rows, columns: matrix.columns)
    }
  }

  /// The best path of a rank for a matrix, in the Frobenius norm, rounded to a type.
  private static func path(
    for matrix: Matrix<Float>, rank: Int, factorType: DType
  ) throws(WeightsError) -> LowRankPath {
    try checkRank(rank, of: matrix)
    do {
      return try PrincipalComponents.exact(matrix, rank: rank).path(as: .dense(factorType))
    } catch let error as WeightsError {
      throw error
    } catch {
      throw .decompositionFailed("\(error)")
    }
  }
}
