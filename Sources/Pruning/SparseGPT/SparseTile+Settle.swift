import Kernels

extension SparseTile {
  /// Survivors a few steps of conjugate gradients nearer to their best values, each row by itself,
  /// with the diagonal as preconditioner: no row ends worse.
  ///
  /// With E = Lᵀ·D the gradient is L·E, and a step along P costs ‖Lᵀ·P‖²: triangles only.
  func settle(steps: Int) {
    let count = columns * stride
    guard count > 0, steps > 0, let errors else { return }
    let floats = memory.take((3 * count + stride) * MemoryLayout<Float>.stride)
    defer { memory.give(floats) }
    withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * stride) { doubles in
      guard var gradient = floats.bindMemory(to: Float.self).baseAddress,
        let slopes = doubles.baseAddress
      else { return }
      var direction = gradient + count
      let image = direction + count
      let lengths = image + count
      let (previous, curvatures) = (slopes + stride, slopes + 2 * stride)
      for step in 0..<steps {
        sweep.factor.multiply(errors, into: gradient, stride: stride, transposed: false)
        sweep.factor.inverseDiagonal.withUnsafeBufferPointer {
          pith_survivor_direction(gradient, kept, $0.baseAddress, columns, stride, slopes)
        }
        if step > 0 {
          for row in 0..<stride {
            lengths[row] = previous[row] > 0 ? Float(slopes[row] / previous[row]) : 0
          }
          // P ← z + β·P, by way of z ← z + β·P.
          pith_lane_axpy(lengths, direction, gradient, columns, stride)
        }
        swap(&direction, &gradient)
        previous.update(from: slopes, count: stride)
        sweep.factor.multiply(direction, into: image, stride: stride, transposed: true)
        pith_lane_squares(image, columns, stride, curvatures)
        for row in 0..<stride {
          lengths[row] =
            curvatures[row] > 0 && slopes[row] > 0 ? Float(-slopes[row] / curvatures[row]) : 0
        }
        pith_lane_axpy(lengths, direction, differences, columns, stride)
        pith_lane_axpy(lengths, image, errors, columns, stride)
      }
    }
  }
}
