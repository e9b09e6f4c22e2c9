import Tensors

/// Systems with a triangular matrix; its other half is not read.
public enum Triangular {
  /// The inverse, triangular in the same half, zeros in the other.
  ///
  /// - Throws: `LinearAlgebraError.notSquare`, `.empty`, `.tooLarge`, `.singular`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func inverse<S: BLASScalar>(
    _ matrix: Matrix<S>, _ triangle: Triangle
  ) throws(LinearAlgebraError) -> Matrix<S> {
    let routine = "Triangular.inverse"
    let order = try Workspace.order(routine, of: matrix)
    BLAS.prepare()
    var result = matrix
    // Row-major lower is column-major upper.
    let stored = CChar(UInt8(ascii: triangle == .lower ? "U" : "L"))
    let info = S._trtri(stored, order, &result.values, order)
    try Workspace.checkArguments(info, routine)
    guard info == 0 else {
      throw .singular(routine: routine, order: matrix.rows, index: Int(info) - 1)
    }
    clearOther(&result, than: triangle)
    return result
  }

  /// op(T)⁻¹ · B for a triangular T (n × n) and B (n × r).
  ///
  /// - Throws: `LinearAlgebraError.notSquare`, `.sizesDisagree`, `.empty`, `.tooLarge`,
  ///   `.singular`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func solve<S: BLASScalar>(
    _ matrix: Matrix<S>, _ triangle: Triangle, transposed: Bool = false, _ right: Matrix<S>
  ) throws(LinearAlgebraError) -> Matrix<S> {
    let routine = "Triangular.solve"
    try check(routine, matrix, right, fits: right.rows == matrix.rows)
    var result = right
    BLAS.trsm(
      m: right.rows, n: right.columns, alpha: 1, a: matrix.values, lda: matrix.columns,
      triangle: triangle, transposeA: transposed, triangleOnLeft: true, b: &result.values,
      ldb: right.columns)
    return result
  }

  /// B · op(T)⁻¹ for a triangular T (n × n) and B (r × n).
  ///
  /// - Throws: as `solve(_:_:transposed:_:)`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func solve<S: BLASScalar>(
    _ left: Matrix<S>, byInverseOf matrix: Matrix<S>, _ triangle: Triangle, transposed: Bool = false
  ) throws(LinearAlgebraError) -> Matrix<S> {
    let routine = "Triangular.solve"
    try check(routine, matrix, left, fits: left.columns == matrix.rows)
    var result = left
    BLAS.trsm(
      m: left.rows, n: left.columns, alpha: 1, a: matrix.values, lda: matrix.columns,
      triangle: triangle, transposeA: transposed, triangleOnLeft: false, b: &result.values,
      ldb: left.columns)
    return result
  }

  /// Writes zeros beyond the diagonal of one half.
  static func clearOther<S: BLASScalar>(_ matrix: inout Matrix<S>, than triangle: Triangle) {
    let order = matrix.rows
    matrix.values.withUnsafeMutableBufferPointer { values in
      for row in 0..<order {
        let cleared = triangle == .lower ? row + 1..<order : 0..<row
        for column in cleared { values[row * order + column] = 0 }
      }
    }
  }

  private static func check<S: BLASScalar>(
    _ routine: String, _ matrix: Matrix<S>, _ other: Matrix<S>, fits: Bool
  ) throws(LinearAlgebraError) {
    _ = try Workspace.order(routine, of: matrix)
    _ = try Workspace.extents(routine, rows: other.rows, columns: other.columns)
    guard fits else {
      throw .sizesDisagree(
        routine: routine, left: "\(matrix.rows) × \(matrix.columns)",
        right: "\(other.rows) × \(other.columns)")
    }
    if let index = (0..<matrix.rows).first(where: { matrix[$0, $0] == 0 }) {
      throw .singular(routine: routine, order: matrix.rows, index: index)
    }
  }
}
