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

  /// One grid for each group of every row, as `rowGrids`, rows × groups.
  ///
  /// - Parameter length: columns of a group; they fill the rows.
  /// - Throws: `WeightsError.notFinite`.
  public func groupGrids(
    of values: Matrix<Float>, length: Int, pool: WorkerPool = .serial
  ) throws(WeightsError) -> (scales: [Float], zeros: [Float]) {
    precondition(length > 0 && values.columns % length == 0, "groups of \(length)")
    let groups = values.columns / length
    var scales = [Float](repeating: 1, count: values.rows * groups)
    var zeros = [Float](repeating: 0, count: values.rows * groups)
    var bad = [Int](repeating: -1, count: (values.rows + Self.tile - 1) / Self.tile)
    values.values.withUnsafeBufferPointer { source in
      scales.withUnsafeMutableBufferPointer { scales in
        zeros.withUnsafeMutableBufferPointer { zeros in
          bad.withUnsafeMutableBufferPointer { bad in
            // Tiles write to rows of their own.
            nonisolated(unsafe) let (source, scales, zeros, bad) = (
              source.baseAddress, scales.baseAddress, zeros.baseAddress, bad.baseAddress
            )
            let (rows, columns, kernel) = (values.rows, values.columns, kernelGrid)
            pool.forEach((rows + Self.tile - 1) / Self.tile) { (index: Int) -> Void in
              guard let source, let scales, let zeros, let bad else { return }
              var grid = kernel
              let first = index * Self.tile
              let found = pith_fit_rows(
                &grid, source + first * columns, min(Self.tile, rows - first) * groups, length,
                scales + first * groups, zeros + first * groups)
              if found >= 0 { bad[index] = first * columns + Int(found) }
            }
          }
        }
      }
    }
    if let place = bad.first(where: { $0 >= 0 }) {
      throw .notFinite(row: place / values.columns, column: place % values.columns)
    }
    return (scales, zeros)
  }

  /// Rows whose grids one worker fits at a time.
  private static let tile = 64
}
