import Kernels
import LinearAlgebra
import Tensors
import Weights

/// The sweep over all rows, block of columns after block.
///
/// The mask of a block is chosen over all rows at once, so that blocks come one after the other;
/// within one, tiles of rows are shared out. Inside a block a kernel goes through each row; the
/// rest of the matrix waits for the block's end and becomes one product a tile.
struct SparseSweep: Sendable {
  let target: Matrix<Float>
  let mask: Mask?
  /// U.
  let factor: Matrix<Float>
  let amount: PruneAmount
  let scheme: IntegerScheme?
  /// Columns of a block: whole patterns and whole grids.
  let length: Int
  /// Inputs that share a scale; the width for scales per channel or tensor, 1 without a scheme.
  let group: Int
  /// Whether grids are fitted on updated weights inside the sweep.
  let isFitting: Bool

  /// Rows of a tile: enough for a product's kernels, few enough to share out.
  static let tileRows = 128

  struct Outcome: Sendable {
    let base: Base
    let dropped: [Bool]
    /// Σ ((w − q)/U_jj)².
    let loss: Double
    /// ‖target − result‖².
    let squaredError: Double
  }

  init(
    target: Matrix<Float>, mask: Mask?, factor: Matrix<Float>, amount: PruneAmount,
    scheme: IntegerScheme?, block: Int
  ) {
    self.target = target
    self.mask = mask
    self.factor = factor
    self.amount = amount
    self.scheme = scheme
    let pattern = if case .pattern(let found) = amount { found.of } else { 1 }
    let columns = target.columns
    group = scheme?.grid.reach(columns: columns) ?? 1
    let isPerTensor = scheme?.granularity == .tensor
    isFitting = scheme != nil && !isPerTensor && group <= 2 * block && group % pattern == 0
    let unit = isFitting ? group : pattern
    length = max(unit, block / unit * unit)
  }

  func run(pool: WorkerPool) throws(PruningError) -> Outcome {
    let state = SweepState(self)
    do {
      if scheme != nil, !isFitting { try state.fitBefore(pool: pool) }
      for first in stride(from: 0, to: target.columns, by: length) {
        try state.sweep(first..<min(first + length, target.columns), pool: pool)
      }
    } catch let error as PruningError {
      throw error
    } catch { preconditionFailure("a tile throws PruningError, not \(error)") }
    return state.outcome()
  }
}
