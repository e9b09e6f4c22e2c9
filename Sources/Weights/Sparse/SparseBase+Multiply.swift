import Kernels

extension SparseBase {
  /// Some outputs of y = Ŵ · x, survivors only: `x` is `count × columns`, `y` is `count × stride` and
  /// begins at output 0.
  func multiply(
    _ x: UnsafePointer<Float>, rows count: Int, outputs: Range<Int>,
    into y: UnsafeMutablePointer<Float>, stride: Int
  ) {
    forEachRow(outputs) { index, line in
      line.multiply(x, rows: count, into: y + outputs.lowerBound + index, stride: stride)
    }
  }
}

extension SparseLine {
  /// This row's output for every row of inputs, `stride` apart.
  func multiply(
    _ x: UnsafePointer<Float>, rows count: Int, into y: UnsafeMutablePointer<Float>, stride: Int
  ) {
    if let bitmap, let values {
      pith_multiply_survivors(bitmap, values, columns, x, count, columns, y, stride)
    } else if let bitmap, let codes {
      pith_multiply_survivor_codes(
        bitmap, codes, columns, group, scales, zeros, x, count, columns, y, stride)
    } else if let gaps, let values {
      for row in 0..<count {
        y[row * stride] = pith_dot_gaps(gaps, survivors, values, x + row * columns)
      }
    }
  }
}
