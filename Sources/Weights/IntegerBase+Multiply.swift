import Kernels
import LinearAlgebra
import Tensors

/// A base's product with rows of inputs: `x` is `rows × columns`, `y` `rows × outputs`.
///
/// Sendable because bases and inputs are only read, and tiles write to outputs of their own.
struct IntegerProduct: @unchecked Sendable {
  let base: IntegerBase
  let x: UnsafePointer<Float>
  let rows: Int
  let y: UnsafeMutablePointer<Float>
}

extension IntegerBase {
  /// Whether another base has the same codes, wherever its scales and zero points lie.
  func sharesCodes(with other: IntegerBase) -> Bool {
    rows == other.rows && columns == other.columns && grid.bits == other.grid.bits
      && grid.granularity == other.grid.granularity
      && codes.bytes.buffer.baseAddress == other.codes.bytes.buffer.baseAddress
  }

  /// The most bases that a tile's codes are unpacked for at once.
  static let mostSides = RowProduct.packedOutputs / RowProduct.panelOutputs

  /// Some outputs of the products of bases that share their codes: a tile's codes are unpacked
  /// once, and each base's scales and zero points make its own packed tile of them.
  ///
  /// The bits of decoding each base and multiplying it alone; only where `RowProduct.isExact`.
  static func multiply(_ products: [IntegerProduct], outputs range: Range<Int>) {
    guard let first = products.first?.base, first.columns > 0 else { return }
    precondition(products.count <= mostSides, "\(products.count) sides at once")
    let columns = first.columns
    let weights = products.map(\.base.kernelRows)
    // All sides' tiles together stay in the second-level cache.
    let share = RowProduct.packedOutputs / products.count
    let held = max(share / RowProduct.panelOutputs, 1) * RowProduct.panelOutputs
    let stride = held * RowProduct.packedColumns
    RowProduct.withPanels { panels in
      for output in Swift.stride(from: range.lowerBound, to: range.upperBound, by: held) {
        let count = min(held, range.upperBound - output)
        for column in Swift.stride(from: 0, to: columns, by: RowProduct.packedColumns) {
          let deep = min(RowProduct.packedColumns, columns - column)
          pith_decode_panels(
            weights, weights.count, output, count, column, deep, panels, stride)
          for (index, product) in products.enumerated() {
            RowProduct.multiply(
              product.x + column, rows: product.rows, xStride: columns,
              byPacked: panels + index * stride, outputs: count, columns: deep,
              into: product.y + output, yStride: first.rows, adding: column > 0)
          }
        }
      }
    }
    withExtendedLifetime(products) {}
  }
}
