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
  /// The factor's panels: f32, or bytes with their scales and sums where the processor has the
  /// products; the other one is empty.
  private let packed: AlignedNumbers<Float>
  private let quads: AlignedNumbers<UInt32>
  private let quadScales: AlignedNumbers<Float>
  private let quadSums: AlignedNumbers<UInt32>

  /// Whether the factor in bytes is enough for the equations.
  ///
  /// What rounding adds averages out over the columns, so there must be many; and unless loud inputs
  /// are rounded first, a few columns are most of every product, of which even a share of a
  /// thousandth is too much.
  private static func takesBytes(_ order: SweepOrder, width: Int) -> Bool {
    FixedProducts.isAvailable && order.isStatic && width >= 1024
      && order.group <= Int(PITH_REFIT_MEMBERS)
  }

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
    let isBytes = Self.takesBytes(order, width: width)
    // Rows of the packed factor before each panel: members, or fours of them.
    var starts = [0]
    for panel in 0..<panels {
      starts.append(
        counts[panel * groups..<(panel + 1) * groups].reduce(starts[panel]) {
          $0 + (isBytes ? (Int($1) + 3) / 4 : Int($1))
        })
    }
    let total = starts[panels] * length
    packed = AlignedNumbers(count: isBytes ? 0 : total, pages: pages, filling: .none)
    quads = AlignedNumbers(count: isBytes ? total : 0, pages: pages, filling: .none)
    let columnCount = isBytes ? panels * groups * length : 0
    quadScales = AlignedNumbers(count: columnCount, pages: pages, filling: .none)
    quadSums = AlignedNumbers(count: columnCount, pages: pages, filling: .none)
    let step = 8
    let (begins, reaching) = (starts, counts)
    // Panels have places of their own.
    let (numbers, words, scales, sums) = (packed, quads, quadScales, quadSums)
    pool.forEach((panels + step - 1) / step) { (part: Int) -> Void in
      let first = part * step
      let count = min(step, panels - first)
      let place = begins[first] * length
      reaching.withUnsafeBufferPointer { reaching in
        let reaching = reaching.baseAddress.map { $0 + first * groups }
        if isBytes {
          let own = first * groups * length
          pith_refit_pack_bytes(
            factor.base, width, positions, members, first, count, reaching,
            words.base + place, scales.base + own, sums.base + own)
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
    let right: AlignedNumbers<Float>
    let solving: AlignedNumbers<Double>
    /// The best scales, rows × groups, and what they change each row's error by.
    var scales: [Float]
    var changes: [Double]

    init(_ refit: SweepRefit, pages: PageCache) {
      let lanes = Int(PITH_REFIT_LANES)
      let (groups, members) = (refit.groups, refit.columns.count / refit.groups)
      padded = pith_refit_padded(groups)
      scratch = AlignedNumbers(
        count: pith_refit_scratch(groups, members, lanes / Int(PITH_SWEEP_LANES)), pages: pages)
      left = AlignedNumbers(count: padded * padded * lanes, pages: pages)
      right = AlignedNumbers(count: padded * lanes, pages: pages)
      solving = AlignedNumbers(count: pith_refit_solve_scratch(groups), pages: pages)
      scales = Array(repeating: 0, count: groups * lanes)
      changes = Array(repeating: 0, count: lanes)
    }

    /// Where the right sides of a row begin, PITH_SWEEP_LANES apart.
    func place(_ lane: Int) -> Int {
      let chunk = Int(PITH_SWEEP_LANES)
      return lane / chunk * padded * chunk + lane % chunk
    }
  }

  /// The best scales of a chunk of rows under the room's equations; `scales` are the chunk's own.
  func solve(
    _ room: inout Room, chunk: Int, scales: UnsafePointer<Float>?, stride: Int
  ) {
    let (padded, lanes) = (room.padded, Int(PITH_SWEEP_LANES))
    var systems = PithRefitSystems(
      groups: groups, left: room.left.base + chunk * padded * padded * lanes,
      right: room.right.base + chunk * padded * lanes, scales: scales, stride: stride,
      scale_type: grid.scaleType.kernelScaleType, bits: Int32(grid.bits))
    let solving = room.solving.base
    room.scales.withUnsafeMutableBufferPointer { scales in
      room.changes.withUnsafeMutableBufferPointer { changes in
        guard let scales = scales.baseAddress, let changes = changes.baseAddress else { return }
        pith_refit_solve(
          &systems, solving, scales + chunk * lanes * groups, changes + chunk * lanes)
      }
    }
  }

  /// The equations of some chunks of rows from a tile's row on.
  func fill(_ room: Room, of tile: TileSweep<Float>, row: Int, chunks: Int) {
    columns.withUnsafeBufferPointer { columns in
      positions.withUnsafeBufferPointer { positions in
        counts.withUnsafeBufferPointer { counts in
          tile.zeros.withUnsafeBufferPointer { zeros in
            var job = PithRefit(
              groups: groups, members: columns.count / groups, stride: tile.stride,
              damping: damping, columns: columns.baseAddress, positions: positions.baseAddress,
              factor: packed.base, counts: counts.baseAddress,
              quads: quads.count > 0 ? quads.base : nil, quad_scales: quadScales.base,
              quad_sums: quadSums.base,
              codes: tile.codes.base, zeros: zeros.baseAddress,
              differences: tile.differences.base, residuals: tile.targets)
            pith_refit_terms(
              &job, row, chunks, room.scratch.base, room.left.base, room.right.base)
          }
        }
      }
    }
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
      let count = max(0, min(lanes, rows.count - first))
      refit.fill(room, of: self, row: first, chunks: lanes / chunk)
      if let held {
        for lane in 0..<count {
          add(held, to: room.right.base + room.place(lane), row: first + lane)
        }
      }
      scales.withUnsafeBufferPointer { scales in
        for number in 0..<lanes / chunk {
          refit.solve(
            &room, chunk: number, scales: scales.baseAddress.map { $0 + first + number * chunk },
            stride: stride)
        }
      }
      outcome.append(
        room.scales[..<(count * refit.groups)], changes: room.changes[..<count])
    }
    return outcome
  }
}
