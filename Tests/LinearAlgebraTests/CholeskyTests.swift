import Tensors
import TestSupport
import Testing

@testable import LinearAlgebra

@Suite("Cholesky factors and triangular systems")
struct CholeskyTests {
  /// A symmetric positive definite matrix of a given order.
  private func positive(_ order: Int, seed: UInt64) throws -> Matrix<Double> {
    var random = PortableRandom(seed)
    return try Syrk.gram(random.normal(2 * order, order))
  }

  @Test("The lower factor gives the matrix back", arguments: [1, 2, 17, 200])
  func factor(_ order: Int) throws {
    let matrix = try positive(order, seed: 3)
    let result = try Cholesky.factor(matrix)
    #expect(result.dampingUsed == 0)
    #expect(result.attempts == [CholeskyAttempt(damping: 0, failedAt: nil)])
    let back = try result.factor.multiplied(by: result.factor, transposeOther: true)
    #expect(distance(back, matrix) < 1e-13 * frobenius(matrix))
    for row in 0..<order {
      #expect(result.factor[row, row] > 0)
      for column in row + 1..<max(order, row + 1) { #expect(result.factor[row, column] == 0) }
    }
  }

  @Test("The worked example of the inverse's upper factor")
  func workedExample() throws {
    let inverse = Matrix<Double>(rows: 3, columns: 3, values: [4, 2, 6, 2, 5, 7, 6, 7, 22])
    let lower = try Cholesky.factor(inverse).factor
    let h = try Cholesky.solve(lower: lower, .identity(3))
    let u = try Cholesky.inverseUpperFactor(h).factor
    let expected = Matrix<Double>(rows: 3, columns: 3, values: [2, 1, 3, 0, 2, 2, 0, 0, 3])
    #expect(distance(u, expected) < 1e-13)
  }

  @Test("UᵀU is the inverse, in both precisions", arguments: [1, 5, 200])
  func inverseFactor(_ order: Int) throws {
    let matrix = try positive(order, seed: 4)
    let u = try Cholesky.inverseUpperFactor(matrix).factor
    let inverse = try u.multiplied(by: u, transposeSelf: true)
    #expect(try distance(inverse.multiplied(by: matrix), .identity(order)) < 1e-9)
    let single = try Cholesky.inverseUpperFactor(matrix.single).factor
    #expect(distance(single.converted(to: Double.self), u) < 1e-3 * frobenius(u))
  }

  @Test("The damping asked for lands on the diagonal, relative to its mean")
  func damping() throws {
    let matrix = Matrix<Double>(rows: 2, columns: 2, values: [1, 0, 0, 3])
    let result = try Cholesky.factor(matrix, damping: 0.5)
    #expect(result.dampingUsed == 0.5)
    #expect(abs(result.factor[0, 0] - 2.0.squareRoot()) < 1e-15)
    #expect(abs(result.factor[1, 1] - 2) < 1e-15)
  }

  @Test("A singular matrix climbs the ladder, and every rung is told")
  func ladder() throws {
    var random = PortableRandom(6)
    let few = random.normal(5, 20).single
    let matrix = try Syrk.gram(few)
    #expect {
      try Cholesky.factor(Matrix<Double>(rows: 2, columns: 2, values: [1, 0, 0, -1]))
    } throws: {
      $0 as? LinearAlgebraError
        == .notPositiveDefinite(
          routine: "Cholesky.factor", order: 2, dampings: [0], failedAt: 1)
    }
    let result = try Cholesky.inverseUpperFactor(matrix)
    #expect(result.attempts.count > 1)
    #expect(result.attempts.dropLast().allSatisfy { $0.failedAt != nil })
    #expect(
      result.attempts.map(\.damping)
        == Array(Cholesky.dampings(from: 0).prefix(result.attempts.count)))
    #expect(result.dampingUsed > 0 && result.dampingUsed <= 1e-5)
    #expect(result.factor.values.allSatisfy { $0.isFinite })
  }

  @Test("The ladder's rungs and its end")
  func rungs() throws {
    #expect(Cholesky.dampings(from: 0.01).count == 3)
    #expect(Cholesky.dampings(from: 0).count == 10)
    #expect(Cholesky.dampings(from: 5) == [5])
    let indefinite = Matrix<Double>(rows: 2, columns: 2, values: [1, 9, 9, 1])
    #expect {
      try Cholesky.factor(indefinite, damping: 0.01)
    } throws: {
      if case .notPositiveDefinite(_, 2, let dampings, 1)? = $0 as? LinearAlgebraError {
        dampings.count == 3
      } else {
        false
      }
    }
    for wrong in [-1, Double.nan, .infinity] {
      #expect(throws: LinearAlgebraError.self) {
        try Cholesky.factor(Matrix<Double>.identity(2), damping: wrong)
      }
    }
  }

  @Test("Triangular systems on either side, transposed or not")
  func solves() throws {
    var random = PortableRandom(8)
    let lower = try Cholesky.factor(positive(40, seed: 8)).factor
    let right = random.normal(40, 7)
    for (triangle, matrix) in [(Triangle.lower, lower), (.upper, lower.transposed)] {
      let inverse = try Triangular.inverse(matrix, triangle)
      #expect(try distance(inverse.multiplied(by: matrix), .identity(40)) < 1e-11)
      for transposed in [false, true] {
        let x = try Triangular.solve(matrix, triangle, transposed: transposed, right)
        let back = try matrix.multiplied(by: x, transposeSelf: transposed)
        #expect(distance(back, right) < 1e-12 * frobenius(right) * 100)
        let y = try Triangular.solve(
          right.transposed, byInverseOf: matrix, triangle, transposed: transposed)
        let again = try y.multiplied(by: matrix, transposeOther: transposed)
        #expect(distance(again, right.transposed) < 1e-12 * frobenius(right) * 100)
      }
    }
  }

  @Test("A zero on a triangle's diagonal is an error that names it")
  func singular() {
    var matrix = Matrix<Double>.identity(4)
    matrix[2, 2] = 0
    #expect(
      throws: LinearAlgebraError.singular(routine: "Triangular.inverse", order: 4, index: 2)
    ) { try Triangular.inverse(matrix, .upper) }
    #expect(throws: LinearAlgebraError.singular(routine: "Triangular.solve", order: 4, index: 2)) {
      try Triangular.solve(matrix, .lower, Matrix(rows: 4, columns: 1, repeating: 1))
    }
  }
}
