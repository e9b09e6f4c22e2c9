import LinearAlgebra
import Tensors
import Weights

/// The column sweep over all rows, in tiles of rows.
///
/// With H = R·Rᵀ, R upper, and q_j chosen for the inputs before k, the best weight of input k is
/// w_k + Σ_j (w_j − q_j)·R_jk / R_kk: GPTQ without an inverse (QuIP's LDLQ, arXiv 2307.13304). R
/// is the Cholesky factor of H in reversed order, read backwards; it stays reversed here.
struct Sweep<S: SweepScalar>: Sendable {
  /// What is rounded.
  let target: SweepTarget
  let mask: Mask?
  let scheme: IntegerScheme
  let order: SweepOrder
  let factor: SweepFactor<S>
  /// What the sweep's memory comes from.
  let pages: PageCache
  /// The input at each row of the factor, and the number of its grid.
  let columnOrder: [Int]
  let codeIndex: [Int32]
  let gridIndex: [Int32]
  /// The sweep's cuts, in rows of the factor, the last ones first.
  let spans: [SweepOrder.Span]
  /// Where each run's part of the factor lies in `packedFactor`.
  private let offsets: [Range<Int>: Int]
  /// Of every run the transpose of its diagonal block of the factor.
  private let packedFactor: [S]
  /// The inverse of the factor's block of each panel whose grid is fitted on updated weights, by
  /// the block's first row: a product takes half as long as a solution.
  let inverses: [Int: Matrix<S>]
  /// The grids of every group, when they were fitted before the sweep.
  let fixed: FixedGrids?
  /// What comes from other spans; nil where it is f32's as well.
  let far: FarFeedback?
  /// What fits the scales to the codes of each tile at its end.
  let refit: SweepRefit?
  /// What moves the weights into their grids' ranges first, and these; nil where nothing does.
  let bounds: SweepBounds?
  let ends: GridEnds?

  init(
    target: SweepTarget, gridTarget: SweepTarget, mask: Mask?, scheme: IntegerScheme,
    order: SweepOrder,
    factor: SweepFactor<S>, block: Int, refitDamping: Double?, boundPasses: Int?,
    pages: PageCache, pool: WorkerPool
  ) throws(QuantizationError) {
    self.target = target
    self.pages = pages
    self.mask = mask
    self.scheme = scheme
    self.order = order
    self.factor = factor
    let width = target.columns
    columnOrder = order.columns.reversed()
    codeIndex = columnOrder.map { Int32($0) }
    gridIndex = columnOrder.map { Int32($0 / order.group) }
    func mirrored(_ part: Range<Int>) -> Range<Int> {
      width - part.upperBound..<width - part.lowerBound
    }
    spans = order.spans(
      width: width - order.free, length: min(block, ColumnRun<S>.limit),
      span: factor is SweepFactor<Float> ? FarFeedback.span(order) : nil
    ).map { span in
      SweepOrder.Span(
        range: mirrored(span.range),
        panels: span.panels.map {
          SweepOrder.Panel(range: mirrored($0.range), runs: $0.runs.map(mirrored))
        })
    }
    var offsets: [Range<Int>: Int] = [:]
    var packed: [S] = []
    for range in spans.flatMap(\.panels).flatMap(\.runs) {
      offsets[range] = packed.count
      for column in range { for other in range { packed.append(factor[other, column]) } }
    }
    inverses = order.isStatic ? [:] : Self.inverses(of: factor, panels: spans.flatMap(\.panels))
    self.offsets = offsets
    packedFactor = packed
    var grids =
      order.isStatic
      ? try FixedGrids(gridTarget, mask: mask, scheme: scheme, pool: pool) : nil
    bounds =
      if let boundPasses, grids != nil, mask == nil, order.free == 0,
        let factor = factor as? SweepFactor<Float>
      {
        SweepBounds(
          factor: factor, inputs: columnOrder, gridIndex: gridIndex, passes: boundPasses,
          pages: pages, pool: pool)
      } else { nil }
    if let fitted = grids, let bounds {
      grids = bounds.narrowed(fitted, for: target, pages: pages, pool: pool)
    }
    fixed = grids
    ends = bounds == nil ? nil : grids.map { $0.ends(rows: Array(0..<target.rows)) }
    far =
      if let factor = factor as? SweepFactor<Float> {
        FarFeedback(
          factor, ranges: spans.map(\.range) + (order.free > 0 ? [0..<order.free] : []),
          pages: pages, pool: pool)
      } else { nil }
    refit =
      if let refitDamping, let factor = factor as? SweepFactor<Float> {
        SweepRefit(
          order, columnOrder: columnOrder, factor: factor, grid: scheme.grid,
          damping: refitDamping, pages: pages, pool: pool)
      } else { nil }
  }

  private static func inverses(
    of factor: SweepFactor<S>, panels: [SweepOrder.Panel]
  ) -> [Int: Matrix<S>] {
    var result: [Int: Matrix<S>] = [:]
    // Nothing was updated before the first panel.
    for panel in panels.map(\.range) where panel.upperBound < factor.order {
      let block = Matrix<S>(
        rows: panel.count, columns: panel.count,
        values: panel.flatMap { row in
          UnsafeBufferPointer(
            start: factor.base + row * factor.order + panel.lowerBound, count: panel.count)
        })
      // Pivots are positive; without an inverse the panel is solved for.
      if let inverse = try? Triangular.inverse(block, .lower) {
        result[panel.lowerBound] = inverse
      }
    }
    return result
  }

  /// Rows of a tile, a function of the extents alone: enough for a product's kernels, few enough
  /// to share out.
  static func tileRows(rows: Int) -> Int { rows >= 2048 ? 256 : rows >= 512 ? 128 : 64 }

  /// Tiles that go together; their number decides nothing but time.
  private func tilesPerBatch(tiles: Int, workers: Int) -> Int {
    bounds == nil ? 1 : max(1, min(4, (tiles + workers - 1) / workers))
  }

  /// What a run needs of the factor and the order.
  func withRun<Result>(
    _ range: Range<Int>,
    _ body: (UnsafePointer<S>, UnsafePointer<Int32>, UnsafePointer<Int32>) -> Result
  ) -> Result {
    let offset = offsets[range] ?? 0
    return packedFactor.withUnsafeBufferPointer { factor in
      codeIndex.withUnsafeBufferPointer { codes in
        gridIndex.withUnsafeBufferPointer { grids in
          guard let f = factor.baseAddress, let c = codes.baseAddress, let g = grids.baseAddress
          else { preconditionFailure("a run of no columns") }
          return body(f + offset, c + range.lowerBound, g + range.lowerBound)
        }
      }
    }
  }

  struct Outcome: Sendable {
    let base: IntegerBase
    /// Σ ((w − q)·R_jj)², w as updated.
    let loss: Double
    /// ‖target − result‖².
    let squaredError: Double
    /// Weights that were held on their grids' ends.
    let held: Int
    /// The columns that were not rounded, in the order's end's own order; nil for none.
    let free: Matrix<Float>?
    /// The scales fitted to the codes; nil where the sweep did not.
    let refit: RefitProblem.Outcome?
  }

  func run(pool: WorkerPool) throws(QuantizationError) -> Outcome {
    let (rows, columns) = (target.rows, target.columns)
    let tile = Self.tileRows(rows: rows)
    let grid = scheme.grid
    let codeBytes = PackedCodes.bytes(count: columns, bits: scheme.bits)
    var batches: [[TileOutcome]] = []
    let packed: Bytes
    let batch = tile * tilesPerBatch(tiles: (rows + tile - 1) / tile, workers: pool.workers)
    // Those that are done, for the next ones.
    let spare = Spare<SweepBatch<S>>()
    do {
      packed = try Bytes(count: rows * codeBytes) { buffer in
        LargePages.advise(buffer)
        // Batches write to rows of their own.
        nonisolated(unsafe) let start = buffer.bindMemory(to: UInt8.self).baseAddress
        batches = try pool.map((rows + batch - 1) / batch) {
          (index: Int) throws -> [TileOutcome] in
          guard let start else { return [] }
          let own = spare.take() ?? SweepBatch(self, rows: min(batch, rows), tile: tile)
          let outcomes = try own.run(
            index * batch..<min((index + 1) * batch, rows), packed: start)
          spare.give(own)
          return outcomes
        }
      }
    } catch let error as QuantizationError {
      throw error
    } catch { preconditionFailure("a tile throws errors of its own, not \(error)") }
    let tiles = batches.flatMap { $0 }
    let codes: Tensor
    do {
      codes = try Tensor(dtype: .u8, shape: [rows, codeBytes], bytes: packed)
    } catch { preconditionFailure("\(rows) rows of \(codeBytes) bytes fill \(packed.count)") }
    let base: IntegerBase
    if let fixed {
      base = fixed.base(codes: codes, rows: rows, columns: columns)
    } else {
      let groups = columns / order.group
      let zeroBytes = PackedCodes.bytes(count: groups, bits: scheme.bits)
      base = IntegerBase(
        grid: grid, rows: rows, columns: columns, codes: codes,
        scales: grid.tensor(ofScales: tiles.flatMap(\.scales), shape: [rows, groups]),
        zeros: scheme.symmetric
          ? nil : Tensor(dtype: .u8, shape: [rows, zeroBytes], array: tiles.flatMap(\.zeros)))
    }
    let free =
      order.free == 0
      ? nil : Matrix(rows: rows, columns: order.free, values: tiles.flatMap(\.free))
    return Outcome(
      base: base, loss: tiles.reduce(0) { $0 + $1.loss },
      squaredError: tiles.reduce(0) { $0 + $1.squaredError },
      held: tiles.reduce(0) { $0 + $1.held }, free: free,
      refit: refit == nil ? nil : RefitProblem.Outcome(joining: tiles.compactMap(\.refit)))
  }
}

/// What one tile of rows gave: scales and packed zero points by rows.
struct TileOutcome: Sendable {
  /// Rows of the columns that were not rounded.
  var free: [Float] = []
  var scales: [Float] = []
  var zeros: [UInt8] = []
  var loss = 0.0
  var squaredError = 0.0
  /// Weights held on their grids' ends, of the whole batch, at its first tile.
  var held = 0
  var refit: RefitProblem.Outcome?
}

extension IntegerBase {
  /// Every zero point, in the order of the scales.
  func zeroPoints() -> [UInt8] {
    let count = scales.shape.rowElementCount
    let rows = scales.shape.rows
    guard let zeros else {
      return Array(repeating: UInt8(1 << (grid.bits - 1)), count: rows * count)
    }
    let bytes = zeros.bytes.array(of: UInt8.self)
    let stride = PackedCodes.bytes(count: count, bits: grid.bits)
    return (0..<rows).flatMap {
      PackedCodes.unpack(
        Array(bytes[$0 * stride..<($0 + 1) * stride]), count: count, bits: grid.bits)
    }
  }

  /// Other scales and zero points, rows × groups, one a byte.
  mutating func replaceGrids(scales: [Float], zeros: [UInt8]) {
    self.scales = grid.tensor(ofScales: scales, shape: self.scales.shape)
    guard let old = self.zeros else { return }
    let count = self.scales.shape.rowElementCount
    self.zeros = Tensor(
      dtype: .u8, shape: old.shape,
      array: (0..<self.scales.shape.rows).flatMap {
        PackedCodes.pack(Array(zeros[$0 * count..<($0 + 1) * count]), bits: grid.bits)
      })
  }

  /// Every code, row by row.
  func unpackedCodes(row: Int) -> [UInt8] {
    let stride = PackedCodes.bytes(count: columns, bits: grid.bits)
    return codes.bytes.withBuffer { buffer in
      PackedCodes.unpack(
        Array(buffer[row * stride..<(row + 1) * stride]), count: columns, bits: grid.bits)
    }
  }
}
