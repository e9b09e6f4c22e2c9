import Tensors
import Testing

@testable import LinearAlgebra

@Suite("Cholesky in tiles")
struct TiledCholeskyTests {
  /// A well conditioned matrix of three tiles, the last one short.
  static func matrix(_ order: Int) throws -> Matrix<Double> {
    let x = Matrix(
      rows: order + 50, columns: order,
      values: Philox(seed: 4).normals(count: (order + 50) * order, purpose: .sampling))
    var result = try Syrk.gramInDouble(x)
    for index in 0..<order { result[index, index] += Double(order) }
    return result
  }

  private func factor(
    _ matrix: Matrix<Double>, damping: Double = 0, pool: WorkerPool = .serial
  ) throws -> CholeskyResult<Double> {
    try Cholesky.factor(order: matrix.rows, damping: damping, pool: pool) {
      (row: Int, target: UnsafeMutablePointer<Double>) -> Void in
      for column in 0...row { (target + column).initialize(to: matrix[row, column]) }
    }
  }

  @Test(
    "the factor of one call of LAPACK, the same bits with two workers", arguments: [1, 256, 600])
  func plain(order: Int) throws {
    let matrix = try Self.matrix(order)
    let expected = try Cholesky.factor(matrix, damping: 0.01)
    let found = try factor(matrix, damping: 0.01)
    let scale = expected.factor.values.map(abs).max() ?? 1
    for (left, right) in zip(expected.factor.values, found.factor.values) {
      #expect(abs(left - right) <= 1e-12 * scale)
    }
    #expect(found.dampingUsed == 0.01 && found.attempts == expected.attempts)
    let two = try factor(matrix, damping: 0.01, pool: WorkerPool(workers: 2))
    #expect(two.factor == found.factor)
  }

  @Test("a pivot that fails is named, in whichever tile; the ladder is climbed")
  func ladder() throws {
    var matrix = try Self.matrix(600)
    for index in 0..<600 {
      matrix[530, index] = 0
      matrix[index, 530] = 0
    }
    matrix[530, 530] = -1e-9
    let found = try factor(matrix)
    #expect(found.attempts.first == CholeskyAttempt(damping: 0, failedAt: 530))
    #expect(found.attempts.count > 1 && found.dampingUsed > 0)
    #expect(throws: LinearAlgebraError.self) {
      _ = try factor(Matrix(rows: 3, columns: 3, values: [-1, 0, 0, 0, -1, 0, 0, 0, -1]))
    }
  }
}
