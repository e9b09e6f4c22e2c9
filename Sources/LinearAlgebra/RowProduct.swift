import Kernels
import Synchronization
import Tensors

/// The product of rows of activations with the rows of a weight: y = x Wᵀ.
///
/// (1) Each result is one chain of fused multiplications and additions in the order of the
/// columns, so that its bits depend neither on how many rows are multiplied at once nor on how
/// outputs are tiled; (2) on a machine without fused products it is OpenBLAS's sgemm, whose bits
/// depend on both.
///
/// Activations are never packed: a library's gemm packs them again for each tile of decoded
/// weights, an eighth of its time at 1024 rows and 256 outputs.
public enum RowProduct {
  /// Whether this machine has fused products, and (1) holds.
  public static var isExact: Bool { pith_product_suits() != 0 }

  /// y[t, r] ← Σ x[t, c] · w[r, c], for t below `rows` and r below `outputs`.
  ///
  /// - Parameters:
  ///   - x: `rows × columns` at a stride.
  ///   - w: `outputs × columns` at a stride.
  ///   - y: `rows × outputs` at a stride; what lies between its rows is left alone.
  public static func multiply(
    _ x: UnsafePointer<Float>, rows: Int, xStride: Int, by w: UnsafePointer<Float>, outputs: Int,
    wStride: Int, columns: Int, into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    guard isExact, columns > 0 else {
      BLAS.gemm(
        m: rows, n: outputs, k: columns, alpha: 1, a: x, lda: xStride, transposeA: false, b: w,
        ldb: wStride, transposeB: true, beta: 0, c: y, ldc: yStride)
      return
    }
    Panels.with { panels in
      pith_product(w, outputs, wStride, columns, x, rows, xStride, y, yStride, panels)
    }
  }
}

/// Pieces of a weight that are packed once and multiplied several times, where products are exact.
extension RowProduct {
  /// The most outputs and columns of a piece.
  public static let packedOutputs = pith_packed_rows()
  public static let packedColumns = pith_packed_columns()
  /// A piece of so many outputs, or a multiple, is whole panels on every instruction set.
  public static let panelOutputs = pith_panel_rows()

  /// Lends room for `packedOutputs × packedColumns` packed numbers.
  public static func withPanels(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    Panels.with(body)
  }

  /// Packs `outputs × columns` of a weight at a stride.
  public static func pack(
    _ w: UnsafePointer<Float>, outputs: Int, wStride: Int, columns: Int,
    into panels: UnsafeMutablePointer<Float>
  ) {
    pith_product_pack(w, outputs, wStride, columns, panels)
  }

  /// The product with a packed piece, the same bits as `multiply`; `adding` goes on from y.
  public static func multiply(
    _ x: UnsafePointer<Float>, rows: Int, xStride: Int, byPacked panels: UnsafePointer<Float>,
    outputs: Int, columns: Int, into y: UnsafeMutablePointer<Float>, yStride: Int,
    adding: Bool = false
  ) {
    pith_product_packed(
      panels, outputs, columns, x, rows, xStride, y, yStride, adding ? 1 : 0)
  }
}

/// Room for packed weights, one buffer for each product that runs at once; kept, as fresh pages
/// would cost more than packing does.
private enum Panels {
  private struct Buffer: @unchecked Sendable { let start: UnsafeMutablePointer<Float> }
  private static let free = Mutex<[Buffer]>([])

  static func with(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    let buffer = free.withLock { $0.popLast() } ?? allocated()
    body(buffer.start)
    free.withLock { $0.append(buffer) }
  }

  private static func allocated() -> Buffer {
    let count = pith_product_scratch()
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: count * MemoryLayout<Float>.stride, alignment: 64)
    return Buffer(start: raw.bindMemory(to: Float.self, capacity: count))
  }
}
