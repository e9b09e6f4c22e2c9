import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("Symmetric eigenvalues")
struct SymmetricEigenTests {
  @Test("Descending values, orthonormal vectors, the matrix back", arguments: [1, 2, 30, 150])
  func all(_ order: Int) throws {
    var random = PortableRandom(UInt64(order))
    let raw = random.normal(order, order)
    var matrix = raw
    for row in 0..<order {
      for column in 0..<order { matrix[row, column] = raw[row, column] + raw[column, row] }
    }
    let result = try SymmetricEigen.all(matrix)
    #expect(zip(result.values, result.values.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(try columnDefect(result.vectors) < 1e-12)
    var scaled = result.vectors
    for row in 0..<order {
      for column in 0..<order { scaled[row, column] *= result.values[column] }
    }
    let back = try scaled.multiplied(by: result.vectors, transposeOther: true)
    #expect(distance(back, matrix) < 1e-13 * frobenius(matrix) * 10)

    for kept in Set([1, (order + 1) / 2, order]) {
      let top = try SymmetricEigen.largest(kept, of: matrix)
      for (found, expected) in zip(top.values, result.values) {
        #expect(abs(found - expected) < 1e-11)
      }
      #expect(try columnDefect(top.vectors) < 1e-11)
      // The eigenspaces agree; with the sign rule, simple eigenvalues' vectors do too.
      let projector = try top.vectors.multiplied(by: top.vectors, transposeOther: true)
      var head = Matrix<Double>(rows: order, columns: kept, repeating: 0)
      for row in 0..<order {
        for column in 0..<kept { head[row, column] = result.vectors[row, column] }
      }
      let expected = try head.multiplied(by: head, transposeOther: true)
      #expect(distance(projector, expected) < 1e-8)
    }
  }

  @Test("A diagonal matrix with negative entries")
  func diagonal() throws {
    let matrix = Matrix<Float>(rows: 3, columns: 3, values: [-2, 0, 0, 0, 5, 0, 0, 0, 1])
    let result = try SymmetricEigen.all(matrix)
    #expect(result.values == [5, 1, -2])
    #expect(result.vectors.values == [0, 0, 1, 1, 0, 0, 0, 1, 0])
    #expect(try SymmetricEigen.largest(1, of: matrix).values == [5])
  }

  @Test("More vectors than the order, a rectangle and a NaN are errors")
  func errors() {
    #expect(throws: LinearAlgebraError.self) {
      try SymmetricEigen.largest(4, of: Matrix<Double>.identity(3))
    }
    #expect(
      throws: LinearAlgebraError.notSquare(routine: "SymmetricEigen.all", rows: 2, columns: 3)
    ) { try SymmetricEigen.all(Matrix<Double>(rows: 2, columns: 3, repeating: 1)) }
    var matrix = Matrix<Double>.identity(3)
    matrix[2, 1] = .nan
    #expect(throws: LinearAlgebraError.self) { try SymmetricEigen.all(matrix) }
  }
}
