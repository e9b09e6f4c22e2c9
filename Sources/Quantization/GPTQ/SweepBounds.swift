import LinearAlgebra
import Tensors

/// What bounding a sweep's weights needs of its factor.
struct SweepBounds: Sendable {
  let inverse: PanelInverse
  /// The squares of the factor's diagonal: what an error of 1 at each position costs.
  let pivots: [Float]
  /// The input and the number of its range at each position.
  let inputs: [Int32]
  let gridIndex: [Int32]
  /// Visits of every input.
  let passes: Int

  init(
    factor: Matrix<Float>, inputs: [Int], gridIndex: [Int32], passes: Int, pool: WorkerPool
  ) {
    inverse = PanelInverse(factor: factor, pool: pool)
    pivots = (0..<factor.rows).map { factor[$0, $0] * factor[$0, $0] }
    self.inputs = inputs.map { Int32($0) }
    self.gridIndex = gridIndex
    self.passes = passes
  }
}

extension BoundedTarget {
  /// Factors of the scales that are tried.
  private static let factors: [Float] = [1, 0.98, 0.96, 0.94]
  /// Rows that are tried.
  private static let sample = 128
  /// Entries that a sweep's updates push out of range afterwards cost about half as much again as
  /// those that lie there before it.
  private static let heldWeight = 1.5
  /// What another factor must gain, by its estimate.
  private static let margin = 0.99

  /// The weights within their ranges, which may become narrower.
  ///
  /// What is held costs little here, so finer grids than those that round best one by one may lose
  /// less in all: of a few factors of all scales the one that is estimated to cost least, by a
  /// sample of the rows.
  init(
    _ weights: SweepTarget, bounds: SweepBounds, narrowing grids: inout FixedGrids?,
    _ fitted: FixedGrids, pool: WorkerPool
  ) {
    let step = max(1, weights.rows / Self.sample)
    let rows = Array(stride(from: 0, to: weights.rows, by: step))
    let width = weights.columns
    let some = Matrix<Float>(rows: rows.count, columns: width) { target in
      _ = weights.withValues { source in
        for (index, row) in rows.enumerated() {
          (target.baseAddress.map { $0 + index * width })?.initialize(
            from: source + row * width, count: width)
        }
      }
    }
    var (best, least) = (fitted, Double.infinity)
    for factor in Self.factors {
      let candidate = factor == 1 ? fitted : fitted.narrowed(by: factor)
      let cost = Self.cost(some, rows, candidate, bounds, pool)
      guard cost < least * (factor == 1 ? 1 : Self.margin) else { break }
      (best, least) = (candidate, cost)
    }
    grids = best
    let all = Array(0..<weights.rows)
    self.init(
      weights, bounds: bounds, low: best.ends(top: 0, rows: all),
      high: best.ends(top: best.top, rows: all), pool: pool)
  }

  /// What some rows are estimated to lose on their grids: s²/12 of every weight times its pivot,
  /// and what moving them into their ranges costs, λ·(w − t).
  private static func cost(
    _ weights: Matrix<Float>, _ rows: [Int], _ grids: FixedGrids, _ bounds: SweepBounds,
    _ pool: WorkerPool
  ) -> Double {
    var shares = [Double](repeating: 0, count: grids.rangesPerRow)
    for (position, pivot) in bounds.pivots.enumerated() {
      shares[Int(bounds.gridIndex[position])] += Double(pivot) / 12
    }
    let found = BoundedTarget(
      SweepTarget(weights), bounds: bounds, low: grids.ends(top: 0, rows: rows),
      high: grids.ends(top: grids.top, rows: rows), pool: pool)
    var (rounding, moving) = (0.0, 0.0)
    for (index, row) in rows.enumerated() {
      for (range, share) in shares.enumerated() {
        let scale = Double(grids.scale(row: row, range: range))
        rounding += scale * scale * share
      }
      for held in found.held(row: index) {
        let input = Int(bounds.inputs[Int(held.position)])
        moving += Double(held.value) * Double(weights[index, input] - found.values[index, input])
      }
    }
    return rounding + heldWeight * moving
  }
}
