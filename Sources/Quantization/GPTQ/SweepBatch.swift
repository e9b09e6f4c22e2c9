import Tensors

/// Tiles of rows that are taken up together and swept one after the other.
///
/// What moves weights into their ranges reads the whole inverse, which comes from far: it is read
/// once for all of them. Sendable because it is handed on, and never used by two at once.
final class SweepBatch<S: SweepScalar>: @unchecked Sendable {
  private let sweep: Sweep<S>
  private let rows: SweepRows<S>
  private let tile: TileSweep<S>

  init(_ sweep: Sweep<S>, rows: Int, tile: Int) {
    self.sweep = sweep
    self.rows = SweepRows(
      rows: rows, tile: tile, width: sweep.target.columns, pages: sweep.pages)
    self.tile = TileSweep(sweep, batch: self.rows)
  }

  /// Sweeps some rows; packed codes go to `packed`, where the weight's first row begins.
  func run(
    _ range: Range<Int>, packed: UnsafeMutablePointer<UInt8>
  ) throws(QuantizationError) -> [TileOutcome] {
    var held: HeldWeights?
    if let bounds = sweep.bounds, let ends = sweep.ends, let rows = rows as? SweepRows<Float> {
      held = rows.gather(sweep.target, rows: range, within: ends, by: bounds)
    } else {
      rows.gather(sweep.target, rows: range, order: sweep.columnOrder)
    }
    var outcomes: [TileOutcome] = []
    for first in stride(from: range.lowerBound, to: range.upperBound, by: rows.stride) {
      tile.begin(
        first..<min(first + rows.stride, range.upperBound), targets: rows.tile(outcomes.count),
        held: held, firstHeld: first - range.lowerBound)
      outcomes.append(try tile.run(packed: packed))
    }
    outcomes[0].held = held?.count ?? 0
    return outcomes
  }
}
