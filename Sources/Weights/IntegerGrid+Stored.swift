import Kernels
import Tensors

extension IntegerGrid {
  /// A scale as it will be stored: rounded to its type, positive, normal, and small enough that
  /// no code decodes to infinity.
  public func stored(scale: Float) -> Float {
    pith_stored_scale(scale, scaleType.kernelScaleType, Int32(bits))
  }

  /// Scales that are stored ones already, `scaleRows × scaleColumns`, as a tensor of their type.
  public func tensor(ofScales scales: [Float], shape: Shape) -> Tensor {
    .encoded(scales, as: scaleType, shape: shape)
  }

  /// The inputs that share one scale in a row of a width; the whole row for `.tensor` too.
  public func reach(columns: Int) -> Int { groupLength(columns: columns) }
}
