import Foundation
import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("Exact singular values")
struct SVDTests {
  @Test(
    "Orthonormal factors, descending values, the matrix back, the sign rule",
    arguments: [(1, 1), (1, 9), (9, 1), (12, 12), (96, 160), (160, 96), (200, 3)])
  func invariants(_ rows: Int, _ columns: Int) throws {
    var random = PortableRandom(UInt64(rows * 7 + columns))
    let matrix = random.normal(rows, columns)
    try check(matrix, tolerance: 1e-12)
    try check(matrix.single, tolerance: 1e-5)
  }

  private func check<S: BLASScalar>(_ matrix: Matrix<S>, tolerance: Double) throws {
    let result = try SVD.exact(matrix)
    let kept = min(matrix.rows, matrix.columns)
    #expect(result.driver == .divideAndConquer)
    #expect(result.u.rows == matrix.rows && result.u.columns == kept)
    #expect(result.vt.rows == kept && result.vt.columns == matrix.columns)
    #expect(try columnDefect(result.u) < tolerance * Double(kept))
    #expect(try rowDefect(result.vt) < tolerance * Double(kept))
    #expect(result.singularValues.allSatisfy { $0 >= 0 })
    #expect(zip(result.singularValues, result.singularValues.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(try distance(result.product(), matrix) < tolerance * frobenius(matrix))
    for column in 0..<kept {
      let entries = (0..<matrix.rows).map { result.u[$0, column] }
      let extreme = entries.map(\.magnitude).max() ?? 0
      #expect((entries.first { $0.magnitude == extreme } ?? -1) > 0)
    }
  }

  @Test("PiSSA's residual of the method pages, both orientations")
  func pissaFigure() throws {
    var random = PortableRandom(1)
    let weight = try random.weight(96, 160)
    for matrix in [weight, weight.transposed] {
      let head = try SVD.exact(matrix, rank: 16)
      let residual = try distance(matrix, head.product())
      #expect(abs(residual / 0.64235877791 - 1) < 1e-8)
    }
  }

  @Test("The spectrum that a matrix was built with comes back")
  func knownSpectrum() throws {
    var random = PortableRandom(2)
    let spectrum = [8.0, 4, 2, 1, 0.5, 1e-3, 1e-9]
    let matrix = try random.matrix(40, 30, spectrum: spectrum)
    let result = try SVD.exact(matrix)
    for (found, expected) in zip(result.singularValues, spectrum) {
      #expect(abs(found - expected) < 1e-14 * 8 * 10)
    }
    #expect(result.singularValues[7...].allSatisfy { $0 < 1e-13 })
  }
}
