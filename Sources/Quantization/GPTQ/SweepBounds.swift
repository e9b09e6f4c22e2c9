import LinearAlgebra
import Tensors

/// What moving weights into their grids' ranges needs of a sweep's factor.
struct SweepBounds: Sendable {
  let inverse: PanelInverse
  /// The squares of the factor's diagonal: what an error of 1 at each position costs.
  let pivots: [Float]
  /// The input and the number of its range at each position.
  let inputs: [Int32]
  let gridIndex: [Int32]
  /// Visits of every input, at least one.
  var passes: Int

  init(
    factor: SweepFactor<Float>, inputs: [Int], gridIndex: [Int32], passes: Int, pages: PageCache,
    pool: WorkerPool
  ) {
    inverse = PanelInverse(factor: factor, pages: pages, pool: pool)
    pivots = (0..<factor.order).map { factor[$0, $0] * factor[$0, $0] }
    self.inputs = inputs.map { Int32($0) }
    self.gridIndex = gridIndex
    self.passes = max(passes, 1)
  }
}

extension SweepBounds {
  /// Factors of the scales that are tried.
  private static let factors: [Float] = [1, 0.98, 0.96, 0.94]
  /// Rows that are tried.
  private static let sample = 64
  /// Entries that a sweep's updates push out of range afterwards cost about half as much again as
  /// those that lie there before it.
  private static let heldWeight = 1.5
  /// What another factor must gain, by its estimate.
  private static let margin = 0.99

  /// The grids, which may become narrower.
  ///
  /// What is held costs little here, so finer grids than those that round best one by one may lose
  /// less in all: of a few factors of all scales the one that is estimated to cost least, by a
  /// sample of the rows.
  func narrowed(
    _ fitted: FixedGrids, for weights: SweepTarget, pages: PageCache, pool: WorkerPool
  ) -> FixedGrids {
    let chosen = Self.factors.map { $0 == 1 ? fitted : fitted.narrowed(by: $0) }
    let costs = costs(weights, chosen, pages, pool)
    var best = 0
    while best + 1 < chosen.count, costs[best + 1] < Self.margin * costs[best] { best += 1 }
    return chosen[best]
  }

  /// What some rows are estimated to lose on each of some grids: s²/12 of every weight times its
  /// pivot, and what moving them into their ranges costs, λ·(w − t).
  private func costs(
    _ weights: SweepTarget, _ grids: [FixedGrids], _ pages: PageCache, _ pool: WorkerPool
  ) -> [Double] {
    // One visit leaves much of what finer grids hold out of the estimate.
    var visits = self
    visits.passes = max(passes, 2)
    let bounds = visits
    let width = weights.columns
    let rows = Array(stride(from: 0, to: weights.rows, by: max(1, weights.rows / Self.sample)))
    // Side by side: the inverse comes from far, and once for each worker is enough.
    let parts = min(pool.workers, grids.count)
    let found =
      (try? pool.map(parts) { part -> [Double] in
        let own = grids[part * grids.count / parts..<(part + 1) * grids.count / parts]
        let some = Matrix<Float>(rows: own.count * rows.count, columns: width) { target in
          _ = weights.withValues { source in
            for index in 0..<own.count * rows.count {
              (target.baseAddress.map { $0 + index * width })?.initialize(
                from: source + rows[index % rows.count] * width, count: width)
            }
          }
        }
        let ends = own.map { $0.ends(rows: rows) }
        let room = SweepRows<Float>(
          rows: some.rows, tile: some.rows, width: width, pages: pages)
        let held = room.gather(
          SweepTarget(some), rows: 0..<some.rows,
          within: GridEnds(
            low: ends.flatMap(\.low), high: ends.flatMap(\.high), ranges: grids[0].rangesPerRow),
          by: bounds)
        return own.indices.map { number in
          let first = (number - own.startIndex) * rows.count
          return bounds.rounding(grids[number], rows: rows)
            + Self.heldWeight * held.costs[first..<first + rows.count].reduce(0, +)
        }
      }) ?? []
    return found.flatMap { $0 }
  }

  /// What rounding some rows on grids is estimated to cost: s²/12 times the pivot of every weight.
  private func rounding(_ grids: FixedGrids, rows: [Int]) -> Double {
    var shares = [Double](repeating: 0, count: grids.rangesPerRow)
    for (position, pivot) in pivots.enumerated() {
      shares[Int(gridIndex[position])] += Double(pivot) / 12
    }
    return rows.reduce(0) { sum, row in
      shares.indices.reduce(sum) {
        let scale = Double(grids.scale(row: row, range: $1))
        return $0 + scale * scale * shares[$1]
      }
    }
  }
}
