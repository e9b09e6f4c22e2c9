import LinearAlgebra
import Tensors
import Weights

/// Grids that were fitted on the weights as they were before the sweep.
struct FixedGrids: Sendable {
  private var rounded: IntegerBase
  /// Scales and zero points of every group, `rows × groups`; one of each per tensor.
  private(set) var scales: [Float]
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

  /// The largest code.
  var top: Int { (1 << rounded.grid.bits) - 1 }

  /// Groups of a row that have a scale of their own.
  var rangesPerRow: Int { isPerTensor ? 1 : groups }

  func scale(row: Int, range: Int) -> Float { scales[isPerTensor ? 0 : row * groups + range] }

  /// What the code `top` stands for in every group of some rows, rows × ranges.
  func ends(top: Int, rows: [Int]) -> [Float] {
    rows.flatMap { row in
      (0..<rangesPerRow).map { range in
        let place = isPerTensor ? 0 : row * groups + range
        return (Float(top) - Float(zeros[place])) * scales[place]
      }
    }
  }

  /// The same grids with all scales times a factor, as they are stored.
  func narrowed(by factor: Float) -> FixedGrids {
    var result = self
    result.scales = scales.map { rounded.grid.stored(scale: $0 * factor) }
    result.rounded.scales = rounded.grid.tensor(
      ofScales: result.scales, shape: rounded.scales.shape)
    return result
  }

  func base(codes: Tensor, rows: Int, columns: Int) -> IntegerBase {
    IntegerBase(
      grid: rounded.grid, rows: rows, columns: columns, codes: codes, scales: rounded.scales,
      zeros: rounded.zeros)
  }
}
