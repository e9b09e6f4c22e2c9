import LinearAlgebra
import Tensors
import Weights

extension TileSweep {
  /// Fits the grids of a group that begins here: on its weights as the columns done have updated
  /// them, w + L⁻ᵀ · sums, and on the weights as they were; each row takes the one that loses less
  /// when the group is rounded.
  ///
  /// Updates widen a range, and with few bits a coarser step costs more than what a finer one
  /// clips.
  func fitGrids(_ panel: SweepOrder.Panel) throws(QuantizationError) {
    let number = Int(sweep.gridIndex[panel.range.lowerBound])
    solve(panel.range, sums)
    let updated = try grids(of: panel.range, adding: panelValues)
    use(updated, for: number, rows: 0..<rows.count)
    // Nothing was updated before the first group.
    guard panel.range.upperBound < columns else { return }
    let original = try grids(of: panel.range, adding: [])
    guard original != updated else { return }
    let after = losses(panel)
    use(original, for: number, rows: 0..<rows.count)
    let before = losses(panel)
    for row in 0..<rows.count where !(before[row] < after[row]) {
      use(updated, for: number, rows: row..<row + 1)
    }
  }

  /// What each row loses in a panel on its present grids; nothing of it stays but the codes.
  private func losses(_ panel: SweepOrder.Panel) -> [S] {
    let place =
      (panel.range.lowerBound - span.lowerBound)
      * stride..<(panel.range.upperBound - span.lowerBound) * stride
    let (saved, loss, squaredError) = (Array(sums[place]), loss, squaredError)
    defer {
      sums.replaceSubrange(place, with: saved)
      (self.loss, self.squaredError) = (loss, squaredError)
    }
    var result = [S](repeating: 0, count: stride)
    result.withUnsafeMutableBufferPointer { round(panel, losses: $0.baseAddress) }
    return result
  }

  /// Grids of one group's weights plus some updates of them; scales and zero points by rows.
  private func grids(
    of panel: Range<Int>, adding updates: [S]
  ) throws(QuantizationError) -> FittedGrids {
    let count = rows.count
    let stride = stride
    let values = Matrix<Float>(rows: count, columns: panel.count) { values in
      targets.withUnsafeBufferPointer { targets in
        updates.withUnsafeBufferPointer { updates in
          kept.withUnsafeBufferPointer { kept in
            guard let to = values.baseAddress, let from = targets.baseAddress else { return }
            // An empty array may have an address.
            let change = updates.isEmpty ? nil : updates.baseAddress
            let mask = kept.isEmpty ? nil : kept.baseAddress
            // Sixteen rows at a time: their lines stay in the first cache while they are written.
            for first in Swift.stride(from: 0, to: count, by: 16) {
              for (offset, position) in panel.reversed().enumerated() {
                let line = position * stride
                let update = change.map { $0 + (position - panel.lowerBound) * stride }
                for row in first..<min(first + 16, count) {
                  var value = from[line + row]
                  if let update { value += update[row] }
                  if let mask { value *= mask[line + row] }
                  to[row * panel.count + offset] = Float(value)
                }
              }
            }
          }
        }
      }
    }
    let fitted = try sweep.grids(of: values)
    return FittedGrids(scales: fitted.scales.floats(), zeros: fitted.zeroPoints())
  }

  private func use(_ grids: FittedGrids, for number: Int, rows: Range<Int>) {
    for row in rows {
      scales[number * stride + row] = S(grids.scales[row])
      zeros[number * stride + row] = S(grids.zeros[row])
    }
  }
}

/// One grid for each row of a tile.
private struct FittedGrids: Equatable {
  let scales: [Float]
  let zeros: [UInt8]
}
