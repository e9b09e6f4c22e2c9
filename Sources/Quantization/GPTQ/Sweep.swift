import LinearAlgebra
import Tensors
import Weights

/// The column sweep over all rows, in tiles of rows.
struct Sweep<S: SweepScalar>: Sendable {
  let target: Matrix<Float>
  let mask: Mask?
  let scheme: IntegerScheme
  let order: SweepOrder
  /// U in the sweep's order.
  let factor: Matrix<S>
  /// Blocks, each with its leaves: a leaf's own columns are updated one by one, the rest of its
  /// block after it, the rest of the matrix after the block.
  let blocks: [(range: Range<Int>, leaves: [Range<Int>])]
  /// The grids of every group, when they were fitted before the sweep.
  let fixed: FixedGrids?

  /// Columns that are updated one by one; few enough to stay in the first-level cache.
  static var leafLength: Int { 16 }

  init(
    target: Matrix<Float>, mask: Mask?, scheme: IntegerScheme, order: SweepOrder,
    factor: Matrix<S>, block: Int, pool: WorkerPool
  ) throws(QuantizationError) {
    self.target = target
    self.mask = mask
    self.scheme = scheme
    self.order = order
    self.factor = factor
    blocks = order.ranges(0..<target.columns, length: block).map {
      ($0, order.ranges($0, length: min(Self.leafLength, order.group)))
    }
    fixed =
      order.isStatic
      ? try FixedGrids(target, mask: mask, scheme: scheme, pool: pool) : nil
  }

  /// Rows of a tile, a function of the extents alone: enough for a product's kernels, few enough
  /// to share out.
  static func tileRows(rows: Int) -> Int { rows >= 2048 ? 256 : rows >= 512 ? 128 : 64 }

  /// One grid for each row of a group's updated weights.
  func grids(of panel: Matrix<Float>) throws(QuantizationError) -> IntegerBase {
    do {
      return try IntegerEncoder(
        scheme.with(granularity: .channel), columns: panel.columns
      ).encode(panel).base
    } catch {
      // The target was checked: only updates can have left the range.
      throw .overflow(operation: "GPTQ")
    }
  }

  struct Outcome: Sendable {
    let base: IntegerBase
    /// Σ ((w − q)/U_jj)².
    let loss: Double
    /// ‖target − result‖².
    let squaredError: Double
  }

  func run(pool: WorkerPool) throws(QuantizationError) -> Outcome {
    let (rows, columns) = (target.rows, target.columns)
    let tile = Self.tileRows(rows: rows)
    let tiles: [TileOutcome]
    do {
      tiles = try pool.map((rows + tile - 1) / tile) { (index: Int) throws -> TileOutcome in
        var run = try TileSweep(self, rows: index * tile..<min((index + 1) * tile, rows))
        return try run.outcome()
      }
    } catch let error as QuantizationError {
      throw error
    } catch let error as WeightsError {
      throw .weights(error)
    } catch { preconditionFailure("a tile throws errors of its own, not \(error)") }
    let grid = scheme.grid
    let codeBytes = PackedCodes.bytes(count: columns, bits: scheme.bits)
    let codes = Tensor(dtype: .u8, shape: [rows, codeBytes], array: tiles.flatMap(\.codes))
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
    return Outcome(
      base: base, loss: tiles.reduce(0) { $0 + $1.loss },
      squaredError: tiles.reduce(0) { $0 + $1.squaredError })
  }
}

/// What one tile of rows gave: packed codes, scales and packed zero points by rows.
struct TileOutcome: Sendable {
  var codes: [UInt8] = []
  var scales: [Float] = []
  var zeros: [UInt8] = []
  var loss = 0.0
  var squaredError = 0.0
}

/// Grids that were fitted on the weights as they were before the sweep.
struct FixedGrids: Sendable {
  private let rounded: IntegerBase
  /// Scales and zero points of every group, `rows × groups`; one of each per tensor.
  let scales: [Float]
  let zeros: [UInt8]
  let groups: Int
  let isPerTensor: Bool

  init(
    _ target: Matrix<Float>, mask: Mask?, scheme: IntegerScheme, pool: WorkerPool
  ) throws(QuantizationError) {
    do {
      rounded = try IntegerBase.roundToNearest(target, scheme: scheme, mask: mask, pool: pool)
    } catch { throw .weights(error) }
    scales = rounded.scales.floats()
    isPerTensor = scheme.granularity == .tensor
    groups = rounded.scales.shape.rowElementCount
    zeros = rounded.zeroPoints()
  }

  func base(codes: Tensor, rows: Int, columns: Int) -> IntegerBase {
    IntegerBase(
      grid: rounded.grid, rows: rows, columns: columns, codes: codes, scales: rounded.scales,
      zeros: rounded.zeros)
  }
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

  /// Every code, row by row.
  func unpackedCodes(row: Int) -> [UInt8] {
    let stride = PackedCodes.bytes(count: columns, bits: grid.bits)
    return codes.bytes.withBuffer { buffer in
      PackedCodes.unpack(
        Array(buffer[row * stride..<(row + 1) * stride]), count: columns, bits: grid.bits)
    }
  }
}
