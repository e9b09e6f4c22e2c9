import Kernels
import LinearAlgebra
import Tensors
import Weights

/// The least squares of the scales, out of the sweep's own factor.
///
/// With H' = R·Rᵀ the damped matrix, v_g the codes of a group and Y_g = v_g·R, the normal equations
/// of a row are Y_g·Y_h and Y_g·(D·R): R is a triangle, so Y takes half the work of v·H, and D·R is
/// what the sweep rounds away at each input. v_g·v_h and v_g·D, times the damping, are taken off
/// again.
struct SweepRefit: Sendable {
  let groups: Int
  let damping: Float
  let grid: IntegerGrid
  /// Group after group its inputs and their positions, the last position first.
  private let columns: [Int32]
  private let positions: [Int32]
  /// Per panel of the factor and group the inputs that reach into it.
  private let counts: [Int32]
  /// The factor's panels: f32, or 16-bit fixed point and its scales where the processor has the
  /// products; the other one is empty.
  private let packed: AlignedNumbers<Float>
  private let fixed: AlignedNumbers<UInt32>
  private let fixedScales: AlignedNumbers<Float>

  /// Nil where scales are not one for each group of every row, where columns stay free, or where so
  /// many groups would make their own products the most of the work.
  ///
  /// - Parameter damping: what was added to the diagonal of what was factored.
  init?(
    _ order: SweepOrder, columnOrder: [Int], factor: SweepFactor<Float>, grid: IntegerGrid,
    damping: Double, pages: PageCache, pool: WorkerPool
  ) {
    let (width, members) = (factor.order, order.group)
    let groups = width / members
    guard grid.granularity != .tensor, order.free == 0, groups * groups <= width else { return nil }
    self.groups = groups
    self.damping = Float(damping)
    self.grid = grid
    var places = [[Int]](repeating: [], count: groups)
    for position in columnOrder.indices.reversed() {
      places[columnOrder[position] / members].append(position)
    }
    let positions = places.flatMap { $0.map { Int32($0) } }
    self.positions = positions
    columns = positions.map { Int32(columnOrder[Int($0)]) }
    let length = Int(PITH_REFIT_PANEL)
    let panels = (width + length - 1) / length
    // An input reaches into the panels up to its own.
    var counts = [Int32](repeating: 0, count: panels * groups)
    for (group, own) in places.enumerated() {
      for position in own { counts[position / length * groups + group] += 1 }
      for panel in (0..<panels - 1).reversed() {
        counts[panel * groups + group] += counts[(panel + 1) * groups + group]
      }
    }
    self.counts = counts
    let isFixed = FixedProducts.isAvailable
    // Rows of the packed factor before each panel: members, or pairs of them.
    var starts = [0]
    for panel in 0..<panels {
      starts.append(
        counts[panel * groups..<(panel + 1) * groups].reduce(starts[panel]) {
          $0 + (isFixed ? (Int($1) + 1) / 2 : Int($1))
        })
    }
    let total = starts[panels] * length
    packed = AlignedNumbers(count: isFixed ? 0 : total, pages: pages, filling: .none)
    fixed = AlignedNumbers(count: isFixed ? total : 0, pages: pages, filling: .none)
    fixedScales = AlignedNumbers(
      count: isFixed ? panels * groups * length : 0, pages: pages, filling: .none)
    let step = 8
    let (begins, reaching) = (starts, counts)
    // Panels have places of their own.
    let (numbers, pairs, scales) = (packed, fixed, fixedScales)
    let top = Int32(1 << grid.bits) - 1
    pool.forEach((panels + step - 1) / step) { (part: Int) -> Void in
      let first = part * step
      let count = min(step, panels - first)
      let place = begins[first] * length
      reaching.withUnsafeBufferPointer { reaching in
        let reaching = reaching.baseAddress.map { $0 + first * groups }
        if isFixed {
          pith_refit_pack_fixed(
            factor.base, width, positions, members, first, count, reaching, top,
            pairs.base + place, scales.base + first * groups * length)
        } else {
          pith_refit_pack(
            factor.base, width, positions, members, first, count, reaching, numbers.base + place)
        }
      }
    }
  }

  /// One chunk's equations, as the kernel writes them.
  struct Room {
    let padded: Int
    let scratch: AlignedNumbers<Float>
    let left: AlignedNumbers<Float>
    var right: [Float]

    init(_ refit: SweepRefit, pages: PageCache) {
      let lanes = Int(PITH_REFIT_LANES)
      padded = pith_refit_padded(refit.groups)
      let steps = pith_refit_steps(
        refit.groups, refit.columns.count / refit.groups, refit.fixed.count > 0 ? 1 : 0)
      scratch = AlignedNumbers(
        count: (steps + 16 * padded * Int(PITH_SWEEP_LANES)) * lanes / Int(PITH_SWEEP_LANES),
        pages: pages)
      left = AlignedNumbers(count: padded * padded * lanes, pages: pages)
      right = Array(repeating: 0, count: refit.groups * lanes)
    }
  }

  /// The equations of some chunks of rows from a tile's row on.
  func fill(_ room: inout Room, of tile: TileSweep<Float>, row: Int, chunks: Int) {
    columns.withUnsafeBufferPointer { columns in
      positions.withUnsafeBufferPointer { positions in
        counts.withUnsafeBufferPointer { counts in
          tile.zeros.withUnsafeBufferPointer { zeros in
            var job = PithRefit(
              groups: groups, members: columns.count / groups, stride: tile.stride,
              damping: damping, columns: columns.baseAddress, positions: positions.baseAddress,
              factor: packed.base, counts: counts.baseAddress,
              fixed: fixed.count > 0 ? fixed.base : nil, fixed_scales: fixedScales.base,
              codes: tile.codes.base, zeros: zeros.baseAddress,
              differences: tile.differences.base, residuals: tile.targets)
            pith_refit_terms(
              &job, row, chunks, room.scratch.base, room.left.base, &room.right)
          }
        }
      }
    }
  }

  /// One row's equations, the `lane`-th of those in the room.
  func system(_ room: Room, lane: Int) -> ScaleSystem {
    let chunk = Int(PITH_SWEEP_LANES)
    let (number, inside) = (lane / chunk, lane % chunk)
    var system = ScaleSystem(groups: groups)
    for group in 0..<groups {
      for other in group..<groups {
        let place = (number * room.padded + group) * room.padded + other
        let value = Double(room.left.base[place * chunk + inside])
        system.left[group * groups + other] = value
        system.left[other * groups + group] = value
      }
      system.right[group] = Double(room.right[(number * groups + group) * chunk + inside])
    }
    return system
  }
}

extension TileSweep where S == Float {
  /// The best scales for the tile's codes, row by row.
  func refitted(_ refit: SweepRefit) -> RefitProblem.Outcome {
    var outcome = RefitProblem.Outcome()
    var room = SweepRefit.Room(refit, pages: sweep.pages)
    let (chunk, most) = (Int(PITH_SWEEP_LANES), Int(PITH_REFIT_LANES))
    for first in Swift.stride(from: 0, to: stride, by: most) {
      let lanes = min(most, stride - first)
      refit.fill(&room, of: self, row: first, chunks: lanes / chunk)
      for row in first..<min(first + lanes, rows.count) {
        var system = refit.system(room, lane: row - first)
        addHeld(to: &system, row: row)
        outcome.append(
          system.solved(
            from: (0..<refit.groups).map { scales[$0 * stride + row] },
            rounding: { refit.grid.stored(scale: $0) }))
      }
    }
    return outcome
  }
}
