import LinearAlgebra
import Tensors
import Weights

/// A rotation between the inputs and the weight: T(x) = x·Q, W ← W·Q.
public enum InputRotation {
  /// The weight for turned inputs; the product stays what it was, to rounding.
  ///
  /// - Throws: `WeightsError.sizesDiffer`, or `.baseQuantized` when the base or a factor holds codes
  ///   already; outlier columns would be spread over all others: `.baseQuantized` as well.
  public static func apply(
    _ weight: CompressedWeight, _ rotation: HadamardRotation
  ) throws(WeightsError) -> CompressedWeight {
    guard rotation.width == weight.columns else {
      throw .sizesDiffer(
        operation: "an input rotation", expected: [weight.columns], found: [rotation.width])
    }
    guard weight.outliers == nil, weight.mask == nil else {
      throw .baseQuantized(operation: "an input rotation")
    }
    var result = weight
    if let base = weight.base { result.base = try turned(base, rotation) }
    for index in weight.lowRank.indices {
      result.lowRank[index].a = try turned(weight.lowRank[index].a, rotation)
    }
    result.site = Site(
      transforms: (weight.site?.transforms ?? []) + [.hadamard(HadamardTransform(rotation))],
      activations: weight.site?.activations)
    return result
  }

  private static func turned(
    _ base: Base, _ rotation: HadamardRotation
  ) throws(WeightsError) -> Base {
    guard case .dense(let dense) = base else {
      throw .baseQuantized(operation: "an input rotation")
    }
    var matrix = base.decoded().converted(to: Double.self)
    rotation.apply(to: &matrix)
    return .dense(matrix.converted(to: Float.self), as: dense.values.dtype)
  }
}
