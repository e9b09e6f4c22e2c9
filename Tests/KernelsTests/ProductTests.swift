import Kernels
import Testing

@Suite("Kernels: products of rows")
struct ProductTests {
  /// Extents around the borders of panels, of packed pieces and of the rows that go together.
  static let extents: [(rows: Int, outputs: Int, columns: Int)] = [
    (1, 1, 1), (3, 5, 2), (14, 32, 16), (15, 33, 7), (29, 31, 63), (13, 300, 64), (6, 16, 577),
    (20, 40, 1200), (2, 257, 576),
  ]

  /// The bits of the plain chain on every machine that fuses; nothing beside the result changes.
  @Test(arguments: extents)
  func products(extents: (rows: Int, outputs: Int, columns: Int)) {
    let (rows, outputs, columns) = extents
    let (xStride, wStride, yStride) = (columns + 3, columns + 1, outputs + 2)
    let x = Sample.normals(rows * xStride, seed: 3)
    let w = Sample.normals(outputs * wStride, seed: 4)
    let untouched = [Float](repeating: -7, count: rows * yStride)
    var expected = untouched
    pith_product_reference(
      w, outputs, wStride, columns, x, rows, xStride, &expected, yStride)
    var scratch = [Float](repeating: .nan, count: pith_product_scratch())
    forEachTarget { name in
      var found = untouched
      pith_product(w, outputs, wStride, columns, x, rows, xStride, &found, yStride, &scratch)
      if pith_product_suits() != 0 {
        #expect(found == expected, "\(name) \(extents)")
      } else {
        let error = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
        #expect(error < 1e-3, "\(name) \(extents)")
        #expect(found.indices.allSatisfy { $0 % yStride < outputs || found[$0] == -7 })
      }
    }
  }
}
