import LinearAlgebra
import Tensors
import Testing

@Suite struct RowProductTests {
  /// The product is gemm's, and outputs that are tiled and rows that are split give its bits.
  @Test func productsDoNotDependOnTheirTiles() {
    let (rows, outputs, columns) = (70, 90, 200)
    let x = Philox(seed: 1).normals(count: rows * columns, purpose: .sampling)
    let w = Philox(seed: 2).normals(count: outputs * columns, purpose: .sampling)
    func product(rowTile: Int, outputTile: Int) -> [Float] {
      var y = [Float](repeating: .nan, count: rows * outputs)
      for row in stride(from: 0, to: rows, by: rowTile) {
        for output in stride(from: 0, to: outputs, by: outputTile) {
          x.withUnsafeBufferPointer { x in
            w.withUnsafeBufferPointer { w in
              y.withUnsafeMutableBufferPointer { y in
                guard let x = x.baseAddress, let w = w.baseAddress, let y = y.baseAddress else {
                  return
                }
                RowProduct.multiply(
                  x + row * columns, rows: min(rowTile, rows - row), xStride: columns,
                  by: w + output * columns, outputs: min(outputTile, outputs - output),
                  wStride: columns, columns: columns, into: y + row * outputs + output,
                  yStride: outputs)
              }
            }
          }
        }
      }
      return y
    }
    let whole = product(rowTile: rows, outputTile: outputs)
    let expected = Gemm.reference(
      Matrix(rows: rows, columns: columns, values: x), transposed: false,
      Matrix(rows: outputs, columns: columns, values: w), transposed: true)
    #expect(zip(whole, expected.values).allSatisfy { abs($0 - $1) < 1e-4 })
    if RowProduct.isExact {
      #expect(product(rowTile: 33, outputTile: 17) == whole)
      #expect(product(rowTile: 1, outputTile: 64) == whole)
    }
  }
}
