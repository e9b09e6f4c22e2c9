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
  var passes: Int

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
  private static let sample = 64
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
    let chosen = Self.factors.map { $0 == 1 ? fitted : fitted.narrowed(by: $0) }
    let costs = Self.costs(weights, chosen, bounds, pool)
    var best = 0
    while best + 1 < chosen.count, costs[best + 1] < Self.margin * costs[best] { best += 1 }
    let found = chosen[best]
    grids = found
    let all = Array(0..<weights.rows)
    self.init(
      weights, bounds: bounds, low: found.ends(top: 0, rows: all),
      high: found.ends(top: found.top, rows: all), pool: pool)
  }

  /// What some rows are estimated to lose on each of some grids: s²/12 of every weight times its
  /// pivot, and what moving them into their ranges costs, λ·(w − t).
  private static func costs(
    _ weights: SweepTarget, _ grids: [FixedGrids], _ bounds: SweepBounds, _ pool: WorkerPool
  ) -> [Double] {
    // One visit leaves much of what finer grids hold out of the estimate.
    var visits = bounds
    visits.passes = max(bounds.passes, 2)
    let width = weights.columns
    let rows = Array(stride(from: 0, to: weights.rows, by: max(1, weights.rows / sample)))
    // All of them side by side: the inverse comes from far, and once is enough.
    let some = Matrix<Float>(rows: grids.count * rows.count, columns: width) { target in
      _ = weights.withValues { source in
        for index in 0..<grids.count * rows.count {
          (target.baseAddress.map { $0 + index * width })?.initialize(
            from: source + rows[index % rows.count] * width, count: width)
        }
      }
    }
    let found = BoundedTarget(
      SweepTarget(some), bounds: visits,
      low: grids.flatMap { $0.ends(top: 0, rows: rows) },
      high: grids.flatMap { $0.ends(top: $0.top, rows: rows) }, pool: pool)
    return grids.enumerated().map { number, grids in
      var shares = [Double](repeating: 0, count: grids.rangesPerRow)
      for (position, pivot) in bounds.pivots.enumerated() {
        shares[Int(bounds.gridIndex[position])] += Double(pivot) / 12
      }
      var (rounding, moving) = (0.0, 0.0)
      for (index, row) in rows.enumerated() {
        for (range, share) in shares.enumerated() {
          let scale = Double(grids.scale(row: row, range: range))
          rounding += scale * scale * share
        }
        let place = number * rows.count + index
        for held in found.held(row: place) {
          let input = Int(bounds.inputs[Int(held.position)])
          moving += Double(held.value) * Double(some[place, input] - found.values[place, input])
        }
      }
      return rounding + heldWeight * moving
    }
  }
}
