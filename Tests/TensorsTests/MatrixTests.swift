import Tensors
import Testing

@Suite("Matrices")
struct MatrixTests {
  @Test("Row-major addressing")
  func addressing() {
    var matrix = Matrix(rows: 2, columns: 3, values: [1, 2, 3, 4, 5, 6])
    #expect(matrix[1, 0] == 4 && matrix[0, 2] == 3)
    matrix[1, 2] = 9
    #expect(matrix.values == [1, 2, 3, 4, 5, 9])
    #expect(matrix.range(ofRow: 1) == 3..<6)
    #expect(matrix.rows(1..<2) == Matrix(rows: 1, columns: 3, values: [4, 5, 9]))
    #expect(matrix.rows(0..<0).values.isEmpty)
  }

  @Test(
    "Transposition, across the borders of its tiles",
    arguments: [(1, 1), (3, 70), (65, 33), (0, 4)])
  func transposition(_ rows: Int, _ columns: Int) {
    let matrix = Matrix(rows: rows, columns: columns, values: Array(0..<rows * columns))
    let transposed = matrix.transposed
    #expect(transposed.rows == columns && transposed.columns == rows)
    for row in 0..<rows {
      for column in 0..<columns { #expect(transposed[column, row] == matrix[row, column]) }
    }
    #expect(transposed.transposed == matrix)
  }

  @Test("Storage is filled in place, and changed without a copy")
  func storage() {
    var matrix = Matrix<Int>(rows: 50, columns: 40) { $0.initialize(repeating: 7) }
    #expect(matrix.values == [Int](repeating: 7, count: 2000))
    let before = matrix.values.withUnsafeBufferPointer { $0.baseAddress }
    for index in matrix.values.indices { matrix.values[index] += index }
    matrix[3, 3] += 1
    let after = matrix.values.withUnsafeBufferPointer { $0.baseAddress }
    #expect(before == after)
    #expect(matrix[3, 3] == 7 + 123 + 1)
  }

  @Test("Identity and change of precision")
  func numbers() {
    #expect(Matrix<Float>.identity(2).values == [1, 0, 0, 1])
    let matrix = Matrix<Double>(rows: 1, columns: 2, values: [0.1, 1e300])
    #expect(matrix.converted(to: Float.self).values == [0.1, .infinity])
  }
}
