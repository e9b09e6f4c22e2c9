extension InputStatistics {
  /// Copies what is below the diagonal of a square matrix to above it.
  static func mirror(_ values: inout [Double], width: Int) {
    values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      forEachUpperBlock(width) { rows, columns in
        for row in rows {
          for column in max(columns.lowerBound, row)..<max(columns.upperBound, row) {
            start[row * width + column] = start[column * width + row]
          }
        }
      }
    }
  }

  /// Whether a square matrix is its own transpose.
  static func isSymmetric(_ values: [Double], width: Int) -> Bool {
    values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return true }
      var result = true
      forEachUpperBlock(width) { rows, columns in
        for row in rows {
          for column in max(columns.lowerBound, row)..<max(columns.upperBound, row)
          where start[row * width + column] != start[column * width + row] { result = false }
        }
      }
      return result
    }
  }

  /// Blocks on and above the diagonal, small enough for what is read by columns to stay in the
  /// first cache.
  private static func forEachUpperBlock(
    _ width: Int, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    let block = 32
    for top in stride(from: 0, to: width, by: block) {
      for left in stride(from: top, to: width, by: block) {
        body(top..<min(top + block, width), left..<min(left + block, width))
      }
    }
  }
}
