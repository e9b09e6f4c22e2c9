import Kernels
import LinearAlgebra
import Tensors
import Weights

/// The sweep over all rows, run of columns after run.
///
/// A fraction's part in a run is chosen over all rows at once, so that runs come one after the
/// other; within one, tiles of rows are shared out. Inside a run a kernel goes through the columns,
/// rows as lanes; what a run leaves behind for later ones is one product a tile and run.
struct SparseSweep: Sendable {
  let target: Matrix<Float>
  let mask: Mask?
  let factor: PruneFactor
  let amount: PruneAmount
  let scheme: IntegerScheme?
  let options: SparseGPTOptions
  /// Inputs that share a scale; the width for scales per channel or tensor, 1 without a scheme.
  let group: Int
  /// Whether grids are fitted on updated weights inside the sweep.
  let isFitting: Bool

  /// The most columns of a run.
  static let longestRun = Int(PITH_PRUNE_COLUMNS)
  /// Columns of a run where nothing asks for others.
  static let run = 128

  struct Outcome: Sendable {
    let base: Base
    /// The kept entries' bits, row by row.
    let bits: [UInt8]
    /// tr(D·H'·Dᵀ), H' damped and over its mean.
    let loss: Double
    /// ‖target − result‖².
    let squaredError: Double
  }

  init(
    target: Matrix<Float>, mask: Mask?, factor: PruneFactor, amount: PruneAmount,
    scheme: IntegerScheme?, options: SparseGPTOptions
  ) {
    self.target = target
    self.mask = mask
    self.factor = factor
    self.amount = amount
    self.scheme = scheme
    self.options = options
    group = scheme?.grid.reach(columns: target.columns) ?? 1
    isFitting =
      scheme != nil && scheme?.granularity != .tensor && group <= Self.longestRun
  }

  /// Rows of a tile, a function of the extents alone: enough for a product's kernels, few enough
  /// to share out.
  static func tileRows(rows: Int) -> Int { rows >= 2048 ? 512 : rows >= 512 ? 256 : 64 }

  func run(pool: WorkerPool) throws(PruningError) -> Outcome {
    let (rows, columns) = (target.rows, target.columns)
    let length = Self.tileRows(rows: rows)
    let count = (rows + length - 1) / length
    let memory = TileMemory()
    let make: @Sendable (Int) -> SparseTile = { (index: Int) -> SparseTile in
      SparseTile(
        self, rows: index * length..<min((index + 1) * length, rows), memory: memory)
    }
    // What is kept.
    var choosing = self.cut(pieces: choiceLength)
    for index in choosing.indices { choosing[index].factor = factor.packed(choosing[index].range) }
    let (runs, steps) = (choosing, steps)
    guard case .fraction(let fraction, _) = amount else {
      // Nothing ties the rows of a pattern together: a tile goes all the way, and the next one takes
      // its memory.
      let sweep: @Sendable (Int) -> SparseTile = { (index: Int) -> SparseTile in
        let tile = make(index)
        tile.gather()
        for run in runs { tile.sweep(run, rounding: false) }
        tile.settle(steps: steps)
        return tile
      }
      guard scheme != nil else { return outcome(count, columns: columns, pool: pool, sweep) }
      // A sweep does not throw.
      return try finished((try? pool.map(count, sweep)) ?? [], pool: pool)
    }
    let tiles = (0..<count).map(make)
    pool.forEach(count) { (index: Int) -> Void in tiles[index].gather() }
    for run in runs {
      choose(run, fraction: fraction, among: tiles, pool: pool)
      pool.forEach(count) { (index: Int) -> Void in tiles[index].sweep(run, rounding: false) }
    }
    pool.forEach(count) { (index: Int) -> Void in tiles[index].settle(steps: steps) }
    return try finished(tiles, pool: pool)
  }

  /// Steps of descent before survivors are rounded, or at the end.
  var steps: Int { scheme == nil ? options.steps : options.stepsBeforeRounding }

  private func finished(
    _ tiles: [SparseTile], pool: WorkerPool
  ) throws(PruningError) -> Outcome {
    if scheme != nil { try round(tiles, pool: pool) }
    return outcome(tiles.count, columns: target.columns, pool: pool) { tiles[$0] }
  }

  /// Inputs that one choice is made over.
  private var choiceLength: Int {
    switch amount {
    case .fraction: options.block(columns: target.columns)
    case .pattern(let pattern): max(pattern.of, Self.run / pattern.of * pattern.of)
    }
  }

  /// Some columns, in rows of the factor, and their block of it.
  struct Run: Sendable {
    /// What columns before this span have left behind comes in one long product.
    var span: Range<Int>
    var range: Range<Int>
    var factor: [Float] = []
  }

  /// The columns in order, spans of whole pieces.
  private func cut(pieces length: Int) -> [Run] {
    let columns = target.columns
    let span = max(length, Self.span / length * length)
    var runs: [Run] = []
    for first in stride(from: 0, to: columns, by: span) {
      let last = min(first + span, columns)
      for start in stride(from: first, to: last, by: length) {
        let end = min(start + length, last)
        runs.append(
          Run(span: columns - last..<columns - first, range: columns - end..<columns - start))
      }
    }
    return runs
  }

  static let span = 512

  /// One run's part of a fraction: so many of all its entries that the matrix has the asked-for
  /// fraction up to the run's end.
  private func choose(
    _ run: Run, fraction: Double, among tiles: [SparseTile], pool: WorkerPool
  ) {
    let count = run.range.count
    let places = tiles.reduce(into: [0]) { $0.append($0[$0.count - 1] + count * $1.stride) }
    let first = target.columns - run.range.upperBound
    let share =
      SparsityClaim.dropped(of: target.rows * (first + count), fraction: fraction)
      - SparsityClaim.dropped(of: target.rows * first, fraction: fraction)
    let size = places[tiles.count]
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(size, 1)) { buffer in
      guard let start = buffer.baseAddress else { return }
      nonisolated(unsafe) let keys = start
      pool.forEach(tiles.count) { (index: Int) -> Void in
        tiles[index].look(run, keys: keys + places[index])
      }
      var (below, equal) = (0, 0)
      var threshold: UInt32 = 0
      if share > 0 {
        threshold = pith_select_key(keys, size, share - 1, &below, &equal)
      }
      // What was dropped before has the key 0 and stays so; it counts.
      let isWhole = share == 0 || below + equal == share || threshold == 0
      let certain = isWhole ? threshold : threshold - 1
      pool.forEach(tiles.count) { (index: Int) -> Void in
        tiles[index].drop(run, keys: keys + places[index], threshold: certain)
      }
      guard !isWhole else { return }
      // Of equals the lower index goes first.
      var left = share - below
      for (index, tile) in tiles.enumerated() where left > 0 {
        left = tile.drop(run, keys: keys + places[index], equalTo: threshold, atMost: left)
      }
    }
  }

  /// Survivors on their grids, from where they have settled.
  private func round(_ tiles: [SparseTile], pool: WorkerPool) throws(PruningError) {
    do {
      pool.forEach(tiles.count) { (index: Int) -> Void in tiles[index].restart() }
      if !isFitting { try fitBefore(tiles, pool: pool) }
      var rounding = cut(pieces: isFitting ? group : Self.run)
      for index in rounding.indices {
        rounding[index].factor = factor.packed(rounding[index].range)
      }
      let runs = rounding
      try pool.forEach(tiles.count) { (index: Int) throws -> Void in
        for run in runs {
          if isFitting { try tiles[index].fit(run) }
          tiles[index].sweep(run, rounding: true)
        }
        tiles[index].finish()
      }
    } catch let error as PruningError {
      throw error
    } catch { preconditionFailure("a tile throws PruningError, not \(error)") }
  }

  /// Fits every grid on the survivors as they have settled.
  private func fitBefore(_ tiles: [SparseTile], pool: WorkerPool) throws {
    guard let scheme else { return }
    var settled = Matrix<Float>(rows: target.rows, columns: target.columns, repeating: 0)
    for tile in tiles {
      for (row, values) in tile.rows.enumerated() {
        for column in 0..<target.columns { settled[values, column] = tile.settled(row, column) }
      }
    }
    let fitted: IntegerBase
    do {
      fitted = try IntegerBase.roundToNearest(settled, scheme: scheme, mask: nil, pool: pool)
    } catch {
      // The target was checked: only updates can have left the range.
      throw PruningError.overflow(operation: "SparseGPT")
    }
    let found = fitted.scales.floats()
    let points = fitted.grid.zeroPoints(fitted.zeros, rows: target.rows, columns: target.columns)
    let isPerTensor = scheme.granularity == .tensor
    let groups = target.columns / group
    for tile in tiles {
      for (index, row) in tile.rows.enumerated() {
        for number in 0..<groups {
          let from = isPerTensor ? 0 : row * groups + number
          tile.setGrid(index, number, scale: found[from], zero: Float(points[from]))
        }
      }
    }
  }
}
