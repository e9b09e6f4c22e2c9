import LinearAlgebra
import Tensors

/// Orthonormal bases of the columns of tall matrices, by Cholesky.
///
/// Y = Q·Lᵀ with L·Lᵀ = YᵀY, the Gram matrix and its factor in f64: two products instead of
/// reflections, several times faster for thin matrices. It loses orthogonality with the square of
/// the condition number, so columns are brought to one length first, and where the factor fails
/// (or a second pass is asked for and fails) Householder's reflections take over.
enum OrthonormalBasis {
  /// - Parameter passes: 2 gives orthogonality to rounding, 1 is enough between iterations.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  static func of<S: BLASScalar>(
    _ matrix: Matrix<S>, passes: Int = 1, pool: WorkerPool = .serial
  ) throws -> Matrix<S> {
    var basis = matrix
    for _ in 0..<passes {
      guard let next = try pass(basis, pool: pool) else { return try QR.thin(matrix).q }
      basis = next
    }
    return basis
  }

  private static func pass<S: BLASScalar>(
    _ matrix: Matrix<S>, pool: WorkerPool
  ) throws -> Matrix<S>? {
    let gram = try Syrk.gram(matrix.inDouble, pool: pool)
    let order = gram.rows
    let lengths = (0..<order).map { gram[$0, $0].squareRoot() }
    guard lengths.allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
    var unit = gram
    for row in 0..<order {
      for column in 0..<order { unit[row, column] /= lengths[row] * lengths[column] }
    }
    guard let factor = try? Cholesky.factor(unit), factor.dampingUsed == 0,
      // A pivot this small means that a column is the others' to within f32.
      (0..<order).allSatisfy({ factor.factor[$0, $0] > 1e-5 })
    else { return nil }
    let scaled = matrix.scalingColumns(by: lengths.map { S(1 / $0) })
    return try Triangular.solve(
      scaled, byInverseOf: Matrix<S>(rounding: factor.factor), .lower, transposed: true)
  }
}
