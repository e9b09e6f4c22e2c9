import LinearAlgebra
import Tensors

/// The two products of a sketch in the weight's precision or through bf16.
///
/// A tall weight is taken as its transpose, so that the bases, which are made orthogonal, are the short
/// ones.
struct SketchProducts<S: BLASScalar> {
  let matrix: Matrix<S>
  /// The weight rounded; nil multiplies as it is.
  let half: HalfProducts?
  let pool: WorkerPool

  init(_ matrix: Matrix<S>, half: HalfProducts?, pool: WorkerPool) {
    self.matrix = matrix
    self.half = half
    self.pool = pool
  }

  /// Whether W stands for the transpose of the weight.
  var isTurned: Bool { matrix.rows > matrix.columns }
  var rows: Int { min(matrix.rows, matrix.columns) }
  var columns: Int { max(matrix.rows, matrix.columns) }

  /// W · X.
  func multiplied(by x: Matrix<S>) throws -> Matrix<S> {
    try product(x, transposed: isTurned)
  }

  /// Wᵀ · X.
  func multipliedTransposed(by x: Matrix<S>) throws -> Matrix<S> {
    try product(x, transposed: !isTurned)
  }

  private func product(_ x: Matrix<S>, transposed: Bool) throws -> Matrix<S> {
    if let half, let single = x as? Matrix<Float> {
      let product =
        transposed
        ? half.multipliedTransposed(by: single, pool: pool)
        : half.multiplied(by: single, pool: pool)
      if let product = product as? Matrix<S> { return product }
    }
    return try matrix.multiplied(by: x, transposeSelf: transposed, pool: pool)
  }
}
