import LinearAlgebra
import Tensors

/// The Frobenius norm, in f64.
func frobenius<S: BinaryFloatingPoint>(_ matrix: Matrix<S>) -> Double {
  matrix.values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
}

/// ‖a − b‖_F.
func distance<S: BinaryFloatingPoint>(_ a: Matrix<S>, _ b: Matrix<S>) -> Double {
  precondition(a.rows == b.rows && a.columns == b.columns, "extents differ")
  var sum = 0.0
  for (x, y) in zip(a.values, b.values) {
    let difference = Double(x) - Double(y)
    sum += difference * difference
  }
  return sum.squareRoot()
}

/// ‖QᵀQ − I‖_F: how far the columns are from orthonormal.
func columnDefect<S: BLASScalar>(_ q: Matrix<S>) throws -> Double {
  try distance(q.multiplied(by: q, transposeSelf: true), .identity(q.columns))
}

/// ‖QQᵀ − I‖_F: how far the rows are from orthonormal.
func rowDefect<S: BLASScalar>(_ q: Matrix<S>) throws -> Double {
  try distance(q.multiplied(by: q, transposeOther: true), .identity(q.rows))
}

extension Matrix where Element == Double {
  var single: Matrix<Float> { converted(to: Float.self) }
}
