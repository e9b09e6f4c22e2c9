import LinearAlgebra
import Tensors

/// Orthonormal bases of the columns of tall matrices, by Cholesky.
///
/// Y = Q·Lᵀ with L·Lᵀ = YᵀY, the Gram matrix and its factor in f64: two products instead of
/// reflections, several times faster for thin matrices. It loses orthogonality with the square of
/// the condition number, so columns are brought to one length first, and where the factor fails
/// Householder's reflections take over.
enum OrthonormalBasis {
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  static func of<S: BLASScalar>(
    _ matrix: Matrix<S>, pool: WorkerPool = .serial
  ) throws -> Matrix<S> {
    try orthonormalised(matrix, pool: pool).columns
  }

  /// The basis, and whether the columns were so far from each other's span that it is orthonormal,
  /// and orthogonal to what the columns were orthogonal to, up to a few thousand ulps.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  static func orthonormalised<S: BLASScalar>(
    _ matrix: Matrix<S>, pool: WorkerPool = .serial
  ) throws -> (columns: Matrix<S>, isSafe: Bool) {
    let gram = try Syrk.gram(matrix.inDouble, pool: pool)
    let order = gram.rows
    let lengths = (0..<order).map { gram[$0, $0].squareRoot() }
    guard lengths.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      return (try QR.thin(matrix).q, false)
    }
    var unit = gram
    unit.values.withUnsafeMutableBufferPointer { values in
      for row in 0..<order {
        for column in 0..<order { values[row * order + column] /= lengths[row] * lengths[column] }
      }
    }
    guard let factor = try? Cholesky.factor(unit), factor.dampingUsed == 0,
      let least = (0..<order).map({ factor.factor[$0, $0] }).min(),
      // A pivot this small means that a column is the others' to within f32.
      least > 1e-5
    else { return (try QR.thin(matrix).q, false) }
    // Y·D⁻¹·L⁻ᵀ as one product with a small matrix: solving from this side takes several times as long.
    var turn = try Triangular.inverse(factor.factor, .lower)
    for row in 0..<order {
      for column in 0...row { turn[row, column] /= lengths[column] }
    }
    let basis = try matrix.multiplied(
      by: Matrix<S>(rounding: turn), transposeOther: true, pool: pool)
    return (basis, least > 1e-3 && (lengths.max() ?? 0) < 1e4 * (lengths.min() ?? 0))
  }
}
