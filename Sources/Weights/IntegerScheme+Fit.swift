import Kernels
import Tensors

extension IntegerScheme {
  /// One grid for each row of some values, by the clip search, without codes: scales as stored,
  /// and zero points, one a row.
  ///
  /// - Throws: `WeightsError.notFinite`.
  public func rowGrids(
    of values: Matrix<Float>
  ) throws(WeightsError) -> (scales: [Float], zeros: [Float]) {
    var grid = kernelGrid
    var scales = [Float](repeating: 1, count: values.rows)
    var zeros = [Float](repeating: 0, count: values.rows)
    let bad = pith_fit_rows(
      &grid, values.values, values.rows, values.columns, &scales, &zeros)
    guard bad < 0 else {
      throw .notFinite(row: Int(bad) / values.columns, column: Int(bad) % values.columns)
    }
    return (scales, zeros)
  }
}
