import LinearAlgebra
import Tensors
import Weights

/// How factors join the other parts of a weight: repairing, decomposing, replacing.
public enum LowRankParts {
  /// W − Ŵ as T(x) meets it: what a repair stands for.
  ///
  /// - Throws: `WeightsError.sizesDiffer`, `.notFinite`.
  public static func error(
    of weight: CompressedWeight, original: Matrix<Float>, operation: String
  ) throws(WeightsError) -> Matrix<Float> {
    guard original.rows == weight.rows, original.columns == weight.columns else {
      throw .sizesDiffer(
        operation: operation, expected: [weight.rows, weight.columns],
        found: [original.rows, original.columns])
    }
    if let index = Finiteness.firstNonFinite(original.values) {
      throw .notFinite(row: index / original.columns, column: index % original.columns)
    }
    var seen = original
    weight.site?.unfold(&seen)
    return seen.subtracting(weight.decodedSum())
  }

  /// W without what outliers and earlier paths hold of it: what a decomposition splits.
  ///
  /// - Throws: as `error`, and `WeightsError.baseMissing`.
  public static func target(
    of weight: CompressedWeight, original: Matrix<Float>, operation: String
  ) throws(WeightsError) -> Matrix<Float> {
    guard weight.base != nil else { throw .baseMissing(operation: operation) }
    var others = weight
    others.base = nil
    others.mask = nil
    return try error(of: others, original: original, operation: operation)
  }

  /// A path beside everything else.
  public static func adding(_ path: LowRankPath, to weight: CompressedWeight) -> CompressedWeight {
    var result = weight
    result.lowRank.append(path)
    return result
  }

  /// A path, and the base what is left without it: dense f32, the mask filled by the residual.
  public static func splitting(
    _ path: LowRankPath, off weight: CompressedWeight
  ) -> CompressedWeight {
    var result = weight
    result.base = .dense(weight.decodedBase().subtracting(path.decoded()))
    result.mask = nil
    result.lowRank.append(path)
    return result
  }

  /// A path instead of the base.
  public static func replacingBase(
    of weight: CompressedWeight, by path: LowRankPath
  ) -> CompressedWeight {
    var result = weight
    result.base = nil
    result.mask = nil
    result.lowRank.append(path)
    return result
  }
}
