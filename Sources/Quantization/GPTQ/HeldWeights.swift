import Kernels
import Tensors

/// Weights of some rows that were moved onto their grids' ends before they are rounded, the others
/// making good what that costs.
///
/// A weight that its grid cannot reach is clipped, and a sweep lets only the inputs after it answer
/// for that. Yet what is clipped is known before: t minimises (w − t)·H'·(w − t)ᵀ with every entry
/// between its grid's ends, all inputs free to move, and the sweep rounds t. At the minimum
/// (w − t)·H' = λ is zero but where an entry is held on its grid's end, so that what rounding does
/// to the others adds to the error without a mixed term. The multipliers λ come by Hildreth's
/// method (1957, doi 10.1002/nav.3800040113), an input at a time, in a few passes.
struct HeldWeights: Sendable {
  /// Of every row the positions in the factor's order, and λ.
  private let starts: [Int]
  private let held: [PithMultiplier]
  /// (w − t)·λ of every row: what moving its weights costs.
  let costs: [Double]

  fileprivate init(_ rows: [(held: [PithMultiplier], cost: Double)]) {
    starts = rows.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.held.count) }
    held = rows.flatMap(\.held)
    costs = rows.map(\.cost)
  }

  /// Entries that are held on their grids' ends.
  var count: Int { held.count }

  /// What holds a row's entries.
  subscript(row: Int) -> ArraySlice<PithMultiplier> { held[starts[row]..<starts[row + 1]] }
}

/// The ends of some rows' grids, rows × ranges.
struct GridEnds: Sendable {
  let low: [Float]
  let high: [Float]
  let ranges: Int
}

extension SweepRows where S == Float {
  /// Takes on some rows of a weight, as many as there is room for at most, moved into their ranges:
  /// t instead of w.
  ///
  /// Rows whose targets would leave f32 stay as they are.
  ///
  /// - Parameter ends: of all rows of `weights`.
  func gather(
    _ weights: SweepTarget, rows: Range<Int>, within ends: GridEnds, by bounds: SweepBounds
  ) -> HeldWeights {
    let first = rows.lowerBound * ends.ranges
    let room = boundRoom
    let found = weights.withValues { source -> [(held: [PithMultiplier], cost: Double)] in
      bounds.inputs.withUnsafeBufferPointer { inputs in
        bounds.gridIndex.withUnsafeBufferPointer { grids in
          ends.low.withUnsafeBufferPointer { low in
            ends.high.withUnsafeBufferPointer { high in
              guard let l = low.baseAddress, let h = high.baseAddress else { return }
              var job = PithBounds(
                width: width, groups: ends.ranges, passes: bounds.passes,
                inverse: bounds.inverse.panels, inputs: inputs.baseAddress,
                grids: grids.baseAddress)
              var own = PithBoundRoom(
                lists: room.lists.base, counts: room.counts.base, places: room.places.base,
                ordered: room.ordered.base)
              pith_bound_rows(
                &job, source + rows.lowerBound * width, l + first, h + first, rows.count, &own,
                numbers.base, stride, room.broken.base)
            }
          }
        }
      }
      return (0..<rows.count).map { row in
        let line = source + (rows.lowerBound + row) * width
        guard room.broken.base[row] == 0 else {
          for (position, input) in bounds.inputs.enumerated() {
            self[row, position] = line[Int(input)]
          }
          return ([], 0)
        }
        let list = room.list(row: row, rows: rows.count, passes: bounds.passes)
        let cost = list.reduce(0.0) {
          let position = Int($1.position)
          let moved = Double(line[Int(bounds.inputs[position])]) - Double(self[row, position])
          return $0 + Double($1.value) * moved
        }
        return (Array(list), cost)
      }
    }
    return HeldWeights(found ?? [])
  }
}

/// What moving rows into their ranges works in.
struct BoundRoom {
  fileprivate let lists: AlignedNumbers<PithMultiplier>
  fileprivate let counts: AlignedNumbers<UInt32>
  fileprivate let places: AlignedNumbers<UInt32>
  fileprivate let ordered: AlignedNumbers<Float>
  fileprivate let broken: AlignedNumbers<UInt8>
  private let pitch: Int

  init(rows: Int, width: Int, pages: PageCache) {
    let panel = Int(PITH_BOUND_PANEL)
    pitch = pith_bound_pitch(width)
    lists = AlignedNumbers(count: 2 * rows * pitch, pages: pages, filling: .sparse)
    counts = AlignedNumbers(count: 2 * rows, pages: pages)
    places = AlignedNumbers(count: rows, pages: pages)
    ordered = AlignedNumbers(
      count: rows * ((width + panel - 1) / panel) * panel, pages: pages, filling: .none)
    broken = AlignedNumbers(count: rows, pages: pages)
  }

  /// What holds a row, of so many that were worked on together.
  fileprivate func list(row: Int, rows: Int, passes: Int) -> UnsafeBufferPointer<PithMultiplier> {
    let place = (passes + 1) % 2 * rows + row
    return UnsafeBufferPointer(start: lists.base + place * pitch, count: Int(counts.base[place]))
  }
}
