import Tensors
import Weights

/// Round-to-nearest as a stage: it acts on the base.
///
/// (1) Mask, outliers, low-rank paths and transforms are left as they are; (2) masked entries do
/// not widen a range; (3) a base that is quantized already is decoded first.
///
/// Throws `WeightsError.baseMissing`, `.groupDoesNotDivide`, `.notFinite`.
public enum RoundToNearest {
  /// The weight with what its base holds now on an integer grid.
  public static func quantize(
    _ weight: CompressedWeight, scheme: IntegerScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    try withBase(of: weight) { values throws(WeightsError) in
      .integer(
        try IntegerBase.roundToNearest(values, scheme: scheme, mask: weight.mask, pool: pool))
    }
  }

  /// As blocks of ggml.
  public static func quantize(
    _ weight: CompressedWeight, blocks format: BlockFormat, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    try withBase(of: weight) { values throws(WeightsError) in
      .blocks(
        try BlockBase.roundToNearest(values, format: format, mask: weight.mask, pool: pool))
    }
  }

  /// With more bits for the groups of the largest mean squares.
  public static func quantize(
    _ weight: CompressedWeight, scheme: MixedScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    try withBase(of: weight) { values throws(WeightsError) in
      .mixed(
        try MixedBase.roundToNearest(
          values, scheme: scheme,
          salience: MixedBase.meanSquares(values, group: scheme.group), mask: weight.mask,
          pool: pool))
    }
  }

  /// As sums of ±1 planes, fitted in turn with their scales.
  public static func quantize(
    _ weight: CompressedWeight, scheme: PlaneScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    try withBase(of: weight) { values throws(WeightsError) in
      .planes(try PlaneBase.fitted(values, scheme: scheme, mask: weight.mask, pool: pool))
    }
  }

  /// Onto a table format.
  public static func quantize(
    _ weight: CompressedWeight, scheme: TableScheme, pool: WorkerPool = .serial
  ) throws(WeightsError) -> CompressedWeight {
    try withBase(of: weight) { values throws(WeightsError) in
      .table(
        try TableBase.roundToNearest(values, scheme: scheme, mask: weight.mask, pool: pool))
    }
  }

  /// The weight with another base, made of what its own decodes to.
  private static func withBase(
    of weight: CompressedWeight, _ encode: (Matrix<Float>) throws(WeightsError) -> Base
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    var result = weight
    result.base = try encode(base.decoded())
    return result
  }
}
