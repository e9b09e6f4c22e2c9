import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("QR decomposition")
struct QRTests {
  @Test(
    "Orthonormal Q, triangular R with a positive diagonal, the matrix back",
    arguments: [(1, 1), (50, 8), (8, 50), (33, 33), (1, 6), (6, 1)])
  func invariants(_ rows: Int, _ columns: Int) throws {
    var random = PortableRandom(UInt64(rows + 100 * columns))
    let matrix = random.normal(rows, columns)
    let (q, r) = try QR.thin(matrix)
    let kept = min(rows, columns)
    #expect(q.columns == kept && r.rows == kept)
    #expect(try columnDefect(q) < 1e-13)
    #expect(try distance(q.multiplied(by: r), matrix) < 1e-13 * frobenius(matrix))
    for row in 0..<kept {
      #expect(r[row, row] > 0)
      for column in 0..<row { #expect(r[row, column] == 0) }
    }
    let single = try QR.thin(matrix.single).q
    #expect(try columnDefect(single) < 1e-5)
  }

  @Test("A zero matrix still has an orthonormal basis")
  func zero() throws {
    let (q, r) = try QR.thin(Matrix<Double>(rows: 6, columns: 4, repeating: 0))
    #expect(try columnDefect(q) == 0)
    #expect(r.values.allSatisfy { $0 == 0 })
  }
}
