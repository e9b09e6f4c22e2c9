import Kernels
import LinearAlgebra
import Synchronization
import Tensors

/// The inverse of a symmetric matrix from its Cholesky factor, its columns in panels that lie side
/// by side (PithBound.h).
struct PanelInverse: Sendable {
  let width: Int
  private let storage: AlignedNumbers<Float>
  private static let tile = 256

  var panels: UnsafePointer<Float> { UnsafePointer(storage.base) }

  /// Of L·Lᵀ; the same bits with any number of workers.
  init(factor: Matrix<Float>, pool: WorkerPool) {
    let (order, panel) = (factor.rows, Int(PITH_BOUND_PANEL))
    width = order
    storage = AlignedNumbers(count: (order + panel - 1) / panel * panel * order)
    var inverse: [Float] = LargePages.zeros(count: order * order)
    let tiles = (order + Self.tile - 1) / Self.tile
    // Tiles write to places of their own.
    nonisolated(unsafe) let target = storage.base
    inverse.withUnsafeMutableBufferPointer { buffer in
      factor.values.withUnsafeBufferPointer { factor in
        guard let start = buffer.baseAddress, let l = factor.baseAddress else { return }
        nonisolated(unsafe) let v = start
        nonisolated(unsafe) let lower = l
        // V = L⁻¹, a column of tiles at a time.
        pool.forEach(tiles) { (index: Int) -> Void in
          let first = index * Self.tile
          let count = min(Self.tile, order - first)
          for place in first..<first + count { v[place * order + place] = 1 }
          BLAS.trsm(
            m: order - first, n: count, alpha: 1, a: lower + first * (order + 1), lda: order,
            triangle: .lower, transposeA: false, triangleOnLeft: true,
            b: v + first * (order + 1), ldb: order)
        }
        // VᵀV, a row of tiles up to the diagonal at a time, and the same below it turned about.
        pool.forEach(tiles) { (index: Int) -> Void in
          let first = index * Self.tile
          let (count, end) = (min(Self.tile, order - first), min(first + Self.tile, order))
          let rows = [Float](unsafeUninitializedCapacity: count * end) { rows, initialized in
            guard let c = rows.baseAddress else { return }
            BLAS.gemm(
              m: count, n: end, k: order - first, alpha: 1, a: v + first * (order + 1), lda: order,
              transposeA: true, b: v + first * order, ldb: order, transposeB: false, beta: 0, c: c,
              ldc: end)
            initialized = count * end
          }
          Self.spread(rows, at: first, count: count, end: end, order: order, into: target)
        }
      }
    }
  }

  /// Rows `first..<first + count` of the lower half go to the panels, and their mirror image.
  private static func spread(
    _ rows: [Float], at first: Int, count: Int, end: Int, order: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    let panel = Int(PITH_BOUND_PANEL)
    rows.withUnsafeBufferPointer { rows in
      for row in 0..<count {
        for start in stride(from: 0, to: end, by: panel) {
          let to = target + (start / panel * order + first + row) * panel
          for column in 0..<min(panel, end - start) {
            to[column] = rows[row * end + start + column]
          }
        }
      }
      // What lies left of the diagonal tile, as lines of the panels of these rows.
      for start in stride(from: 0, to: count, by: panel) {
        let to = target + (first + start) / panel * order * panel
        for column in 0..<first {
          for row in start..<min(start + panel, count) {
            to[column * panel + row - start] = rows[row * end + column]
          }
        }
      }
    }
  }
}

/// Objects that are handed on between tiles.
final class Spare<Object: Sendable>: Sendable {
  private let objects = Mutex<[Object]>([])

  func take() -> Object? { objects.withLock { $0.popLast() } }
  func give(_ object: Object) { objects.withLock { $0.append(object) } }
}
