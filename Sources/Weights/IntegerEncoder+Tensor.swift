import Kernels
import Tensors

extension IntegerEncoder {
  /// The one scale for a whole tensor, by the scheme's clip search over all its values.
  static func point(for weight: Matrix<Float>, scheme: IntegerScheme) -> IntegerGridPoint {
    var grid = scheme.kernelGrid
    return weight.values.withUnsafeBufferPointer { values in
      guard let source = values.baseAddress, values.count > 0 else {
        return IntegerGridPoint(scale: 1, zero: scheme.symmetric ? 1 << (scheme.bits - 1) : 0)
      }
      let range = pith_range(source, values.count)
      var best = pith_grid_for_range(&grid, range.minimum, range.maximum, 1)
      var bestError = pith_grid_error(&grid, best, source, values.count)
      for step in 1..<max(Int(grid.clip_steps), 1) {
        let shrink = 1 - Double(step) * grid.clip_step
        let candidate = pith_grid_for_range(&grid, range.minimum, range.maximum, shrink)
        let error = pith_grid_error(&grid, candidate, source, values.count)
        if error < bestError {
          bestError = error
          best = candidate
        }
      }
      return IntegerGridPoint(scale: best.scale, zero: Int(best.zero))
    }
  }

  /// The scales and zero points of a scheme per tensor: 1 × 1 each.
  func tensorGrid(_ point: IntegerGridPoint) -> (scales: Tensor, zeros: Tensor?) {
    let scales = Tensor.encoded([point.scale], as: scheme.scaleType, shape: [1, 1])
    let zeros =
      scheme.symmetric ? nil : Tensor(dtype: .u8, shape: [1, 1], array: [UInt8(point.zero)])
    return (scales, zeros)
  }
}

extension Tensor {
  /// A tensor of a floating-point type from f32 values, ties to even.
  public static func encoded(_ values: [Float], as dtype: DType, shape: Shape) -> Tensor {
    precondition(values.count == shape.elementCount, "\(values.count) values for \(shape)")
    switch dtype {
    case .f16, .bf16:
      var halves = [UInt16](repeating: 0, count: values.count)
      if dtype == .f16 {
        pith_f32_to_f16(values, &halves, values.count)
      } else {
        pith_f32_to_bf16(values, &halves, values.count)
      }
      return Tensor(dtype: dtype, shape: shape, array: halves)
    case .f64:
      return Tensor(dtype: .f64, shape: shape, array: values.map(Double.init))
    default:
      precondition(dtype == .f32, "a dense part in \(dtype)")
      return Tensor(dtype: .f32, shape: shape, array: values)
    }
  }
}
