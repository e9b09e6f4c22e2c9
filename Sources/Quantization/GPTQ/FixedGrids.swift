import Tensors
import Weights

/// Grids that were fitted on the weights as they were before the sweep.
struct FixedGrids: Sendable {
  private let grid: IntegerGrid
  private var storedScales: Tensor
  private let storedZeros: Tensor?
  /// Scales and zero points of every group, `rows × groups`; one of each per tensor.
  private(set) var scales: [Float]
  let zeros: [UInt8]
  let groups: Int
  let isPerTensor: Bool

  init(
    _ target: SweepTarget, mask: Mask?, scheme: IntegerScheme, pool: WorkerPool
  ) throws(QuantizationError) {
    grid = scheme.grid
    isPerTensor = scheme.granularity == .tensor
    let length = grid.reach(columns: target.columns)
    guard mask == nil, !isPerTensor, target.columns % length == 0 else {
      let rounded: IntegerBase
      do {
        rounded = try IntegerBase.roundToNearest(
          target.matrix, scheme: scheme, mask: mask, pool: pool)
      } catch { throw .weights(error) }
      (storedScales, storedZeros) = (rounded.scales, rounded.zeros)
      scales = rounded.scales.floats()
      groups = rounded.scales.shape.rowElementCount
      zeros = rounded.zeroPoints()
      return
    }
    // Codes would be thrown away.
    let (rows, groups, bits) = (target.rows, target.columns / length, scheme.bits)
    let fitted =
      target.withValues {
        scheme.groupGrids(of: $0, groups: rows * groups, length: length, pool: pool)
      }
      ?? (scales: [], zeros: [])
    self.groups = groups
    scales = fitted.scales
    let zeros = fitted.zeros.map { UInt8($0) }
    self.zeros = zeros
    storedScales = grid.tensor(ofScales: fitted.scales, shape: [rows, groups])
    storedZeros =
      scheme.symmetric
      ? nil
      : Tensor(
        dtype: .u8, shape: [rows, PackedCodes.bytes(count: groups, bits: bits)],
        array: (0..<rows).flatMap {
          PackedCodes.pack(Array(zeros[$0 * groups..<($0 + 1) * groups]), bits: bits)
        })
  }

  /// The largest code.
  var top: Int { (1 << grid.bits) - 1 }

  /// Groups of a row that have a scale of their own.
  var rangesPerRow: Int { isPerTensor ? 1 : groups }

  func scale(row: Int, range: Int) -> Float { scales[isPerTensor ? 0 : row * groups + range] }

  /// What the code `top` stands for in every group of some rows, rows × ranges.
  private func ends(top: Int, rows: [Int]) -> [Float] {
    rows.flatMap { row in
      (0..<rangesPerRow).map { range in
        let place = isPerTensor ? 0 : row * groups + range
        return (Float(top) - Float(zeros[place])) * scales[place]
      }
    }
  }

  /// The ends of some rows' grids.
  func ends(rows: [Int]) -> GridEnds {
    GridEnds(low: ends(top: 0, rows: rows), high: ends(top: top, rows: rows), ranges: rangesPerRow)
  }

  /// The same grids with all scales times a factor, as they are stored.
  func narrowed(by factor: Float) -> FixedGrids {
    var result = self
    result.scales = scales.map { grid.stored(scale: $0 * factor) }
    result.storedScales = grid.tensor(ofScales: result.scales, shape: storedScales.shape)
    return result
  }

  func base(codes: Tensor, rows: Int, columns: Int) -> IntegerBase {
    IntegerBase(
      grid: grid, rows: rows, columns: columns, codes: codes, scales: storedScales,
      zeros: storedZeros)
  }
}
