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
    guard weight.base != nil else { throw .baseMissing(operation: "low_rank of: weight") }
    var others = weight
    others.base = nil
    others.mask = nil
    let target = try difference(original, others, operation: "low_rank of: weight")
    let path = try path(for: target, rank: rank, factorType: factorType)
    var result = weight
    result.base = .dense(weight.decodedBase().subtracting(path.decoded()))
    result.mask = nil
    result.lowRank.append(path)
    return result
  }

  /// `of: error`: the factors take the principal part of W − Ŵ; everything else stays.
  ///
  /// A weight without any error comes back unchanged: a path of zeros would only cost bytes.
  ///
  /// - Throws: as `decompose`, but for the base, which may be missing.
  public static func repair(
    _ weight: CompressedWeight, original: Matrix<Float>, rank: Int, factorType: DType = .f16
  ) throws(WeightsError) -> CompressedWeight {
    let error = try difference(original, weight, operation: "low_rank of: error")
    try checkRank(rank, of: error)
    guard error.values.contains(where: { $0 != 0 }) else { return weight }
    var result = weight
    result.lowRank.append(try path(for: error, rank: rank, factorType: factorType))
    return result
  }

  /// W, turned to what T(x) sees, minus the weight's parts.
  private static func difference(
    _ original: Matrix<Float>, _ weight: CompressedWeight, operation: String
  ) throws(WeightsError) -> Matrix<Float> {
    guard original.rows == weight.rows, original.columns == weight.columns else {
      throw .sizesDiffer(
        operation: operation, expected: [weight.rows, weight.columns],
        found: [original.rows, original.columns])
    }
    try original.checkFinite()
    var seen = original
    weight.site?.unfold(&seen)
    return seen.subtracting(weight.decodedSum())
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
    guard [.f32, .f16, .bf16].contains(factorType) else {
      throw .factorTypeUnsupported(factorType)
    }
    let result: SVDResult<Float>
    do {
      result = try SVD.exact(matrix, rank: rank)
    } catch {
      throw .decompositionFailed("\(error)")
    }
    let roots = result.singularValues.map { max($0, 0).squareRoot() }
    var b = result.u
    var a = result.vt
    for row in 0..<b.rows {
      for column in 0..<rank { b.values[row * rank + column] *= roots[column] }
    }
    for row in 0..<rank {
      for index in a.range(ofRow: row) { a.values[index] *= roots[row] }
    }
    let path = LowRankPath(b: .dense(b, as: factorType), a: .dense(a, as: factorType))
    for (part, factor) in [("b", path.b), ("a", path.a)] {
      if let index = factor.decoded().values.firstIndex(where: { !$0.isFinite }) {
        throw .valueNotFinite(part: "low_rank/\(part)/values", index: index)
      }
    }
    return path
  }
}

extension Matrix where Element == Float {
  /// Element by element.
  fileprivate func subtracting(_ other: Matrix<Float>) -> Matrix<Float> {
    Matrix(
      rows: rows, columns: columns, values: zip(values, other.values).map { $0 - $1 })
  }
}
