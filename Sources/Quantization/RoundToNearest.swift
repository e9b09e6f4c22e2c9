import Tensors
import Weights

/// Round-to-nearest as a stage: it acts on the base.
public enum RoundToNearest {
  /// The weight with what its base holds now on an integer grid.
  ///
  /// (1) Mask, outliers, low-rank paths and transforms are left as they are; (2) masked entries do
  /// not widen a range; (3) a base that is quantized already is decoded first.
  ///
  /// - Throws: `WeightsError.baseMissing`, `.groupDoesNotDivide`, `.notFinite`.
  public static func quantize(
    _ weight: CompressedWeight, scheme: IntegerScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    var result = weight
    result.base = .integer(
      try IntegerBase.roundToNearest(
        base.decoded(), scheme: scheme, mask: weight.mask, pool: pool))
    return result
  }

  /// As above, as blocks of ggml.
  public static func quantize(
    _ weight: CompressedWeight, blocks format: BlockFormat, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    var result = weight
    result.base = .blocks(
      try BlockBase.roundToNearest(base.decoded(), format: format, mask: weight.mask, pool: pool))
    return result
  }

  /// As above, with more bits for the groups of the largest mean squares.
  public static func quantize(
    _ weight: CompressedWeight, scheme: MixedScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    let values = base.decoded()
    var result = weight
    result.base = .mixed(
      try MixedBase.roundToNearest(
        values, scheme: scheme,
        salience: MixedBase.meanSquares(values, group: scheme.group), mask: weight.mask,
        pool: pool))
    return result
  }

  /// As above, as sums of ±1 planes, fitted in turn with their scales.
  public static func quantize(
    _ weight: CompressedWeight, scheme: PlaneScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    var result = weight
    result.base = .planes(
      try PlaneBase.fitted(base.decoded(), scheme: scheme, mask: weight.mask, pool: pool))
    return result
  }

  /// As above, onto a table format.
  public static func quantize(
    _ weight: CompressedWeight, scheme: TableScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    var result = weight
    result.base = .table(
      try TableBase.roundToNearest(base.decoded(), scheme: scheme, mask: weight.mask, pool: pool))
    return result
  }
}
