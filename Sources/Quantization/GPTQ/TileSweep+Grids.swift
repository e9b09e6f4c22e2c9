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
    solve(panel.range)
    let updated = try grids(of: panel.range, updated: true)
    use(updated, for: number) { _ in true }
    // Nothing was updated before the first group.
    guard panel.range.upperBound < columns else { return }
    let original = try grids(of: panel.range, updated: false)
    guard original != updated else { return }
    let after = losses(panel)
    use(original, for: number) { _ in true }
    let before = losses(panel)
    use(updated, for: number) { !(before[$0] < after[$0]) }
  }

  /// What each row loses in a panel on its present grids; nothing of it stays but the codes.
  private func losses(_ panel: SweepOrder.Panel) -> [S] {
    let own = UnsafeMutableBufferPointer(
      start: sums.base + (panel.range.lowerBound - span.lowerBound) * stride,
      count: panel.range.count * stride)
    // Only what runs leave to each other changes the sums.
    let saved = panel.runs.count > 1 ? Array(own) : nil
    let (loss, squaredError) = (loss, squaredError)
    defer {
      if let saved { _ = own.update(fromContentsOf: saved) }
      (self.loss, self.squaredError) = (loss, squaredError)
    }
    var result = [S](repeating: 0, count: stride)
    result.withUnsafeMutableBufferPointer { round(panel, losses: $0.baseAddress) }
    return result
  }

  /// Grids of one group's weights, as they were or plus `panelValues`, their updates.
  private func grids(
    of panel: Range<Int>, updated: Bool
  ) throws(QuantizationError) -> FittedGrids {
    let (count, stride, start) = (rows.count, stride, panel.lowerBound * stride)
    let isOwn = updated || !kept.isEmpty
    if isOwn {
      if !updated { panelValues = Array(repeating: 0, count: panel.count * stride) }
      panelValues.withUnsafeMutableBufferPointer { values in
        for index in 0..<values.count { values[index] += targets[start + index] }
        guard !kept.isEmpty else { return }
        kept.withUnsafeBufferPointer { kept in
          for index in 0..<values.count { values[index] *= kept[start + index] }
        }
      }
    }
    let values = Matrix<Float>(rows: count, columns: panel.count) { values in
      panelValues.withUnsafeBufferPointer { own in
        guard let to = values.baseAddress else { return }
        let before = UnsafePointer(targets + start)
        TileLayout.turned(
          isOwn ? own.baseAddress ?? before : before, columns: panel.count, rows: count,
          stride: stride, into: to)
      }
    }
    do {
      let fitted = try sweep.scheme.rowGrids(of: values)
      return FittedGrids(scales: fitted.scales, zeros: fitted.zeros)
    } catch {
      // The target was checked: only updates can have left the range.
      throw .overflow(operation: "GPTQ")
    }
  }

  /// Rounds on other grids from here on, in the rows asked for.
  private func use(_ grids: FittedGrids, for number: Int, in isAsked: (Int) -> Bool) {
    let (start, count) = (number * stride, rows.count)
    scales.withUnsafeMutableBufferPointer { scales in
      zeros.withUnsafeMutableBufferPointer { zeros in
        for row in 0..<count where isAsked(row) {
          scales[start + row] = S(grids.scales[row])
          zeros[start + row] = S(grids.zeros[row])
        }
      }
    }
  }
}

/// One grid for each row of a tile.
private struct FittedGrids: Equatable {
  let scales: [Float]
  let zeros: [Float]
}
