import Kernels
import LinearAlgebra
import Tensors

/// The inverse of a symmetric matrix from its Cholesky factor, its columns in panels that lie side
/// by side (PithBound.h).
struct PanelInverse: Sendable {
  private let storage: AlignedNumbers<Float>
  private static let tile = 256

  var panels: UnsafePointer<Float> { UnsafePointer(storage.base) }

  /// Of L·Lᵀ; the same bits with any number of workers.
  init(factor: SweepFactor<Float>, pages: PageCache, pool: WorkerPool) {
    let (order, panel) = (factor.order, Int(PITH_BOUND_PANEL))
    let panels = (order + panel - 1) / panel
    storage = AlignedNumbers(count: panels * panel * order, pages: pages, filling: .none)
    if order % panel != 0 {
      (storage.base + (panels - 1) * panel * order).update(repeating: 0, count: panel * order)
    }
    // Tiles write to places of their own.
    nonisolated(unsafe) let target = storage.base
    let spare = Spare<AlignedNumbers<Float>>()
    // A tile's columns from the diagonal down, L⁻ᵀ·L⁻¹ of the identity's: what lies above is its
    // mirror image.
    pool.forEach((order + Self.tile - 1) / Self.tile) { (index: Int) -> Void in
      let first = index * Self.tile
      let (count, rest) = (min(Self.tile, order - first), order - first)
      let columns =
        spare.take()
        ?? AlignedNumbers(count: min(Self.tile, order) * order, pages: pages, filling: .none)
      columns.base.update(repeating: 0, count: rest * count)
      for place in 0..<count { columns.base[place * count + place] = 1 }
      for transposed in [false, true] {
        BLAS.trsm(
          m: rest, n: count, alpha: 1, a: factor.base + first * (order + 1), lda: order,
          triangle: .lower, transposeA: transposed, triangleOnLeft: true, b: columns.base,
          ldb: count)
      }
      Self.spread(columns.base, at: first, count: count, order: order, into: target)
      spare.give(columns)
    }
  }

  /// Columns `first..<first + count` from row `first` on go to the panels, and their mirror image.
  private static func spread(
    _ columns: UnsafePointer<Float>, at first: Int, count: Int, order: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    let panel = Int(PITH_BOUND_PANEL)
    for row in first..<order {
      let line = columns + (row - first) * count
      for start in stride(from: 0, to: count, by: panel) {
        (target + ((first + start) / panel * order + row) * panel).update(
          from: line + start, count: min(panel, count - start))
      }
    }
    for start in stride(from: first + count, to: order, by: panel) {
      let to = target + (start / panel * order + first) * panel
      let inside = min(panel, order - start)
      for column in 0..<count {
        for row in 0..<inside {
          to[column * panel + row] = columns[(start - first + row) * count + column]
        }
      }
    }
  }
}
