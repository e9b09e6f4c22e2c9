import Tensors

extension InputTransform {
  /// The stored tensor.
  public var payload: Tensor {
    switch self {
    case .scale(let tensor), .permutation(let tensor): tensor
    case .hadamard(let transform): transform.signs
    }
  }

  /// The permutation's indices.
  static func indices(_ tensor: Tensor) -> [Int] {
    tensor.bytes.array(of: Int32.self).map(Int.init)
  }
}

extension Site {
  /// The stored tensors.
  public var payloads: [Tensor] { transforms.map(\.payload) }

  /// T(x) for rows of inputs, in place.
  public func apply(to inputs: inout Matrix<Float>) {
    for transform in transforms {
      let columns = inputs.columns
      switch transform {
      case .scale(let tensor):
        let scale = tensor.floats()
        for row in 0..<inputs.rows {
          for column in 0..<columns { inputs.values[row * columns + column] /= scale[column] }
        }
      case .permutation(let tensor):
        let index = InputTransform.indices(tensor)
        for row in 0..<inputs.rows {
          let old = Array(inputs.values[inputs.range(ofRow: row)])
          for column in 0..<columns { inputs.values[row * columns + column] = old[index[column]] }
        }
      case .hadamard(let transform): transform.rotation.apply(to: &inputs)
      }
    }
  }

  /// Ŵ · T: rows of a weight that sees T(x), turned into rows that see x.
  ///
  /// T is linear, so
  /// (Ŵ · T) x = Ŵ · T(x); the last transform is undone first.
  func fold(into rows: inout Matrix<Float>) {
    for transform in transforms.reversed() {
      let columns = rows.columns
      switch transform {
      case .scale(let tensor):
        let scale = tensor.floats()
        for row in 0..<rows.rows {
          for column in 0..<columns { rows.values[row * columns + column] /= scale[column] }
        }
      case .permutation(let tensor):
        let index = InputTransform.indices(tensor)
        for row in 0..<rows.rows {
          let old = Array(rows.values[rows.range(ofRow: row)])
          for column in 0..<columns { rows.values[row * columns + index[column]] = old[column] }
        }
      case .hadamard(let transform): transform.rotation.apply(to: &rows, inverse: true)
      }
    }
  }

  /// W · T⁻¹: rows that see x, turned into rows that see T(x), the way back from `fold`.
  public func unfold(_ rows: inout Matrix<Float>) {
    for transform in transforms {
      let columns = rows.columns
      switch transform {
      case .scale(let tensor):
        let scale = tensor.floats()
        for row in 0..<rows.rows {
          for column in 0..<columns { rows.values[row * columns + column] *= scale[column] }
        }
      case .permutation(let tensor):
        let index = InputTransform.indices(tensor)
        for row in 0..<rows.rows {
          let old = Array(rows.values[rows.range(ofRow: row)])
          for column in 0..<columns { rows.values[row * columns + column] = old[index[column]] }
        }
      case .hadamard(let transform): transform.rotation.apply(to: &rows)
      }
    }
  }
}
