import Tensors

/// The normalised Walsh–Hadamard transform, x ← x·H with HᵀH = I, in Sylvester's order.
///
/// H is symmetric, so the transform is its own inverse.
public enum Hadamard {
  /// The dense matrix: (−1)^popcount(i & j) / √n.
  ///
  /// - Throws: `LinearAlgebraError.notPowerOfTwo`.
  public static func matrix<S: BLASScalar>(
    order: Int, of type: S.Type = S.self
  ) throws(LinearAlgebraError) -> Matrix<S> {
    try checkSize(order, routine: "Hadamard.matrix")
    let entry = 1 / S(order).squareRoot()
    var result = Matrix<S>(rows: order, columns: order, repeating: entry)
    for row in 0..<order {
      for column in 0..<order where (row & column).nonzeroBitCount % 2 == 1 {
        result[row, column] = -entry
      }
    }
    return result
  }

  /// Transforms every row, or every aligned block of `blockSize` numbers of every row.
  ///
  /// - Throws: `LinearAlgebraError.notPowerOfTwo` for the block, `.sizesDisagree` when it does not
  ///   divide the width.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func transformRows<S: BLASScalar>(
    _ matrix: inout Matrix<S>, blockSize: Int? = nil, pool: WorkerPool = .serial
  ) throws {
    let routine = "Hadamard.transformRows"
    let block = blockSize ?? matrix.columns
    try checkSize(block, routine: routine)
    guard matrix.columns % block == 0 else {
      throw LinearAlgebraError.sizesDisagree(
        routine: routine, left: "\(matrix.columns) columns", right: "blocks of \(block)")
    }
    let rowsPerTile = max(1, 32768 / max(matrix.columns, 1))
    let blocksPerRow = matrix.columns / block
    let rows = matrix.rows
    try matrix.values.withUnsafeMutableBufferPointer { values in
      nonisolated(unsafe) let values = values
      try pool.forEachRange(count: rows, length: rowsPerTile) { range in
        guard let base = values.baseAddress else { return }
        for index in range.lowerBound * blocksPerRow..<range.upperBound * blocksPerRow {
          transform(base + index * block, count: block)
        }
      }
    }
  }

  /// Transforms `count` contiguous numbers in place; a count that is no power of two is a bug of
  /// the caller.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func transform<S: BLASScalar>(_ values: UnsafeMutablePointer<S>, count: Int) {
    precondition(count > 0 && count & (count - 1) == 0, "\(count) is no power of two")
    var half = 1
    while half < count {
      for start in stride(from: 0, to: count, by: 2 * half) {
        let low = values + start
        let high = low + half
        for index in 0..<half {
          let (a, b) = (low[index], high[index])
          low[index] = a + b
          high[index] = a - b
        }
      }
      half *= 2
    }
    let scale = 1 / S(count).squareRoot()
    for index in 0..<count { values[index] *= scale }
  }

  private static func checkSize(_ size: Int, routine: String) throws(LinearAlgebraError) {
    guard size > 0, size & (size - 1) == 0 else {
      throw .notPowerOfTwo(routine: routine, size: size)
    }
  }
}
