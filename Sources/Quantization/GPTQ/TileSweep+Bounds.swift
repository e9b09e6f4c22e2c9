import Kernels
import LinearAlgebra
import Tensors

extension TileSweep where S == Float {
  /// After a sweep over bounded targets: the differences from the weights as they were, and what
  /// the bounds cost.
  ///
  /// With D* = w − t, D*·H' = λ and δ what the sweep rounded away, (D* + δ)·H'·(D* + δ)ᵀ is
  /// λ·(D* + 2δ)ᵀ more than the sweep's own loss.
  func settle(_ held: HeldWeights) {
    let (stride, columns) = (stride, columns)
    if panelValues.count != columns * stride {
      panelValues = LargePages.zeros(count: columns * stride)
    }
    var squares = [Float](repeating: 0, count: stride)
    panelValues.withUnsafeMutableBufferPointer { values in
      _ = sweep.target.withValues { source in
        values.baseAddress.map {
          TileLayout.gathered(
            source, width: columns, rows: rows, stride: stride, order: sweep.columnOrder, into: $0)
        }
      }
      scales.withUnsafeBufferPointer { scales in
        zeros.withUnsafeBufferPointer { zeros in
          squares.withUnsafeMutableBufferPointer { squares in
            for (position, column) in sweep.columnOrder.enumerated() {
              let place = position * stride
              let (codes, differences) = (codes.base + column * stride, differences.base + place)
              let grid = Int(sweep.gridIndex[position]) * stride
              for row in 0..<stride {
                let step = Float(codes[row]) - zeros[grid + row]
                let difference = values[place + row] - step * scales[grid + row]
                differences[row] = difference
                squares[row] += difference * difference
              }
            }
          }
        }
      }
    }
    squaredError = rows.indices.reduce(0) { $0 + Double(squares[$1 - rows.lowerBound]) }
    for row in 0..<rows.count {
      loss -= held.costs[firstHeld + row]
      for entry in held[firstHeld + row] {
        let difference = differences.base[Int(entry.position) * stride + row]
        loss += 2 * Double(entry.value) * Double(difference)
      }
    }
  }

  /// What the bounds add to the right side of a row's equations, PITH_SWEEP_LANES apart: v_g·λ of
  /// every group.
  func add(_ held: HeldWeights, to right: UnsafeMutablePointer<Float>, row: Int) {
    for entry in held[firstHeld + row] {
      let position = Int(entry.position)
      let group = Int(sweep.gridIndex[position])
      let code = Float(codes.base[sweep.columnOrder[position] * stride + row])
      right[group * Int(PITH_SWEEP_LANES)] += entry.value * (code - zeros[group * stride + row])
    }
  }
}
