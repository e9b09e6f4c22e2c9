import Kernels

/// Some columns of a tile of rows, and the grid of each; columns are contiguous, `stride` apart.
///
/// The kernels take the same (PithSweep.h); the loops here are their plain twins, and the f64 path.
struct ColumnRun<S: SweepScalar> {
  /// At most `limit`.
  let count: Int
  /// Rows of the tile, a multiple of `lanes`; those beyond the weight's own hold zeros.
  let stride: Int
  /// The largest code.
  let top: Int
  /// What the columns stand for, count × stride.
  let targets: UnsafePointer<S>
  /// Where each column's codes and grid are, in columns of `codes`, and of `scales` and `zeros`.
  let codeIndex: UnsafePointer<Int32>
  let gridIndex: UnsafePointer<Int32>
  let codes: UnsafeMutablePointer<UInt8>
  let scales: UnsafePointer<S>
  let zeros: UnsafePointer<S>
  /// 1 where an entry counts, count × stride; nil when all do.
  let kept: UnsafePointer<S>?

  static var lanes: Int { Int(PITH_SWEEP_LANES) }
  static var limit: Int { Int(PITH_SWEEP_COLUMNS) }

  /// A tile's rows with their padding.
  static func stride(rows: Int) -> Int { (rows + lanes - 1) / lanes * lanes }

  /// The steps from zero of the nearest code; comparisons are written so that a NaN becomes a
  /// number, and is found in the loss.
  @inline(__always)
  private func steps(_ value: S, scale: S, zero: S) -> S {
    let (low, high) = (-zero, S(top) - zero)
    var step = value / scale
    step = step < high ? step : high
    step = step > low ? step : low
    return (step + S.rounder) - S.rounder
  }

  /// GPTQ over the columns, the last one first; `pith_sweep_integer` says what the operands are.
  func sweepPlainly(
    factor: UnsafePointer<S>, sums: UnsafePointer<S>?, differences: UnsafeMutablePointer<S>,
    residuals: UnsafeMutablePointer<S>?, rowLoss: UnsafeMutablePointer<S>?
  ) -> (loss: Double, squaredError: Double) {
    var (loss, squaredError) = (0.0, 0.0)
    for row in 0..<stride {
      var own = 0.0
      for column in (0..<count).reversed() {
        var total = sums.map { $0[column * stride + row] } ?? 0
        for other in column + 1..<max(count, column + 1) {
          total += factor[column * count + other] * differences[other * stride + row]
        }
        let pivot = factor[column * count + column]
        let place = column * stride + row
        let wanted = targets[place] + total / pivot
        let grid = Int(gridIndex[column]) * stride + row
        let isKept = kept.map { $0[place] != 0 } ?? true
        let step = isKept ? steps(wanted, scale: scales[grid], zero: zeros[grid]) : 0
        let value = step * scales[grid]
        codes[Int(codeIndex[column]) * stride + row] = S.byte(step + zeros[grid])
        differences[place] = targets[place] - value
        let residual = (wanted - value) * pivot
        residuals?[place] = residual
        let cost = Double(residual)
        own += cost * cost
        squaredError += Double(differences[place]) * Double(differences[place])
      }
      rowLoss?[row] = S(own)
      loss += own
    }
    return (loss, squaredError)
  }

  /// Coordinate descent; `pith_descend_integer` says what the operands are.
  func descendPlainly(
    gram: UnsafePointer<S>, gradients: UnsafeMutablePointer<S>,
    differences: UnsafeMutablePointer<S>, passes: Int
  ) -> Int {
    var changes = 0
    for row in 0..<stride {
      for _ in 0..<passes {
        let before = changes
        for column in 0..<count where gram[column * count + column] > 0 {
          let curvature = gram[column * count + column]
          let place = column * stride + row
          if let kept, kept[place] == 0 { continue }
          let grid = Int(gridIndex[column]) * stride + row
          let old = differences[place]
          let wanted = targets[place] - old + gradients[place] / curvature
          let step = steps(wanted, scale: scales[grid], zero: zeros[grid])
          let now = targets[place] - step * scales[grid]
          let change = now - old
          let gain = change * (change * curvature + 2 * gradients[place])
          guard gain < -1e-5 * curvature * change * change else { continue }
          changes += 1
          differences[place] = now
          codes[Int(codeIndex[column]) * stride + row] = S.byte(step + zeros[grid])
          for other in 0..<count {
            gradients[other * stride + row] += gram[column * count + other] * change
          }
        }
        if changes == before { break }
      }
    }
    return changes
  }
}
