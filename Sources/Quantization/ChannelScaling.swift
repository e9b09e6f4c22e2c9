import Tensors
import Weights

/// A scale per input channel, moved from the inputs into the weight (SmoothQuant, AWQ).
public enum ChannelScaling {
  /// The weight for inputs divided by `scale`: T(x) = x / t, every dense part's columns times t.
  ///
  /// The product stays what it was, to rounding. The transform comes after those that the site
  /// has already, since the parts' columns are the site's outputs.
  ///
  /// - Throws: `WeightsError.sizesDiffer`, `.scaleNotUsable`, or `.baseQuantized` when the base or
  ///   a factor holds codes: their grids run along the inputs, so the scale has to come first.
  public static func apply(
    _ weight: CompressedWeight, scale: [Float]
  ) throws(WeightsError) -> CompressedWeight {
    guard scale.count == weight.columns else {
      throw .sizesDiffer(
        operation: "channel scaling", expected: [weight.columns], found: [scale.count])
    }
    for (index, value) in scale.enumerated() where !value.isNormal || value < 0 {
      throw .scaleNotUsable(part: "channel scale", index: index, value: value)
    }
    var result = weight
    if let base = weight.base { result.base = try scaled(base, by: scale) }
    if let outliers = weight.outliers {
      let numbers = outliers.columnNumbers
      let values = try scaled(
        .dense(DenseBase(values: outliers.values)), by: numbers.map { scale[$0] })
      result.outliers = Outliers(
        columns: numbers, values: values.decoded(), as: outliers.values.dtype)
    }
    for index in weight.lowRank.indices {
      result.lowRank[index].a = try scaled(weight.lowRank[index].a, by: scale)
    }
    let tensor = Tensor(dtype: .f32, shape: [scale.count], array: scale)
    result.site = Site(
      transforms: (weight.site?.transforms ?? []) + [.scale(tensor)],
      activations: weight.site?.activations)
    return result
  }

  /// A dense part with its columns multiplied, in its own type.
  private static func scaled(_ base: Base, by scale: [Float]) throws(WeightsError) -> Base {
    guard case .dense(let dense) = base else {
      throw .baseQuantized(operation: "channel scaling")
    }
    var matrix = base.decoded()
    for row in 0..<matrix.rows {
      let start = row * matrix.columns
      for column in 0..<matrix.columns { matrix.values[start + column] *= scale[column] }
    }
    return .dense(matrix, as: dense.values.dtype)
  }
}
