import Kernels
import LinearAlgebra
import Tensors

/// Weights moved into their grids' ranges before they are rounded, the others making good what that
/// costs.
///
/// A weight that its grid cannot reach is clipped, and a sweep lets only the inputs after it answer
/// for that. Yet what is clipped is known before: t minimises (w − t)·H'·(w − t)ᵀ with every entry
/// between its grid's ends, all inputs free to move, and the sweep rounds t. At the minimum
/// (w − t)·H' = λ is zero but where an entry is held on its grid's end, so that what rounding does
/// to the others adds to the error without a mixed term. The multipliers λ come by Hildreth's
/// method (1957, doi 10.1002/nav.3800040113), an input at a time, in a few passes.
struct BoundedTarget: Sendable {
  /// t, rows × inputs.
  let values: Matrix<Float>
  /// What is held: of every row the positions in the factor's order, and λ.
  private let starts: [Int]
  private let held: [PithMultiplier]

  /// Rows that share a pass over H⁻¹, which comes from far; their border changes nothing.
  private static func tile(rows: Int) -> Int { rows >= 4096 ? 1024 : 256 }

  /// - Parameters:
  ///   - weights: w.
  ///   - low, high: the grids' ends, rows × groups.
  init(
    _ weights: SweepTarget, bounds: SweepBounds, low: [Float], high: [Float], pool: WorkerPool
  ) {
    let (rows, width) = (weights.rows, weights.columns)
    let groups = low.count / max(rows, 1)
    let tile = Self.tile(rows: rows)
    var lists: [[[PithMultiplier]]] = []
    values = Matrix(rows: rows, columns: width) { target in
      LargePages.advise(UnsafeMutableRawBufferPointer(target))
      guard let start = target.baseAddress else { return }
      // Tiles write to rows of their own.
      nonisolated(unsafe) let base = start
      let spare = Spare<Room>()
      let found = try? pool.map((rows + tile - 1) / tile) { index -> [[PithMultiplier]] in
        let range = index * tile..<min((index + 1) * tile, rows)
        let room = spare.take() ?? Room(rows: min(tile, rows), width: width)
        defer { spare.give(room) }
        let lists: [[PithMultiplier]]? = weights.withValues { w in
          bounds.inputs.withUnsafeBufferPointer { inputs in
            bounds.gridIndex.withUnsafeBufferPointer { grids in
              low.withUnsafeBufferPointer { low in
                high.withUnsafeBufferPointer { high in
                  guard let l = low.baseAddress, let h = high.baseAddress else { return [] }
                  var job = PithBounds(
                    width: width, groups: groups, passes: max(bounds.passes, 1),
                    inverse: bounds.inverse.panels, inputs: inputs.baseAddress,
                    grids: grids.baseAddress)
                  let first = range.lowerBound
                  return room.bound(
                    &job, w + first * width, l + first * groups, h + first * groups, range.count,
                    base + first * width)
                }
              }
            }
          }
        }
        return lists ?? []
      }
      lists = found ?? []
    }
    let all = lists.flatMap { $0 }
    starts = all.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
    held = all.flatMap { $0 }
  }

  /// Entries that are held on their grids' ends.
  var count: Int { held.count }

  /// What holds a row's entries.
  func held(row: Int) -> ArraySlice<PithMultiplier> { held[starts[row]..<starts[row + 1]] }

  /// What a tile's kernel works in.
  private final class Room: @unchecked Sendable {
    private var lists: [PithMultiplier]
    private var counts: [UInt32]
    private var places: [UInt32]
    private var ordered: [Float]
    private let pitch: Int

    init(rows: Int, width: Int) {
      let pitch = pith_bound_pitch(width)
      self.pitch = pitch
      let panel = Int(PITH_BOUND_PANEL)
      // Only as much of it as there are multipliers is ever touched.
      lists = Array(unsafeUninitializedCapacity: 2 * rows * pitch) { $1 = 2 * rows * pitch }
      counts = Array(repeating: 0, count: 2 * rows)
      places = Array(repeating: 0, count: rows)
      ordered = LargePages.zeros(count: rows * ((width + panel - 1) / panel) * panel)
    }

    /// The rows' multipliers; their targets are written.
    ///
    /// Rows whose targets left f32 stay as they are.
    func bound(
      _ job: inout PithBounds, _ weights: UnsafePointer<Float>, _ low: UnsafePointer<Float>,
      _ high: UnsafePointer<Float>, _ rows: Int, _ targets: UnsafeMutablePointer<Float>
    ) -> [[PithMultiplier]] {
      pith_bound_rows(
        &job, weights, low, high, rows, &lists, &counts, &places, &ordered, targets)
      let list = (job.passes + 1) % 2 * rows
      let width = job.width
      return (0..<rows).map { row in
        let count = Int(counts[list + row])
        guard count > 0 else { return [] }
        // NaN where any of them is not finite.
        var sum: Float = 0
        for index in row * width..<(row + 1) * width { sum += 0 * targets[index] }
        guard sum == 0 else {
          (targets + row * width).update(from: weights + row * width, count: width)
          return []
        }
        return Array(lists[(list + row) * pitch..<(list + row) * pitch + count])
      }
    }
  }
}
