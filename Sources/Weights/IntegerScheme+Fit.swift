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

  /// One grid for each group of numbers, as `rowGrids`; the numbers are finite.
  ///
  /// - Parameter values: groups × length.
  public func groupGrids(
    of values: UnsafePointer<Float>, groups: Int, length: Int, pool: WorkerPool = .serial
  ) -> (scales: [Float], zeros: [Float]) {
    var scales = [Float](repeating: 1, count: groups)
    var zeros = [Float](repeating: 0, count: groups)
    scales.withUnsafeMutableBufferPointer { scales in
      zeros.withUnsafeMutableBufferPointer { zeros in
        // Tiles write to groups of their own.
        nonisolated(unsafe) let (values, scales, zeros) = (
          values, scales.baseAddress, zeros.baseAddress
        )
        let kernel = kernelGrid
        pool.forEach((groups + Self.tile - 1) / Self.tile) { (index: Int) -> Void in
          guard let scales, let zeros else { return }
          var grid = kernel
          let first = index * Self.tile
          let bad = pith_fit_rows(
            &grid, values + first * length, min(Self.tile, groups - first), length, scales + first,
            zeros + first)
          precondition(bad < 0, "number \(bad) of a group's was said to be finite")
        }
      }
    }
    return (scales, zeros)
  }

  /// Groups whose grids one worker fits at a time.
  private static let tile = 1024
}
