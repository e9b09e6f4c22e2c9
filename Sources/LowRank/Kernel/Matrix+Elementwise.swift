import LinearAlgebra
import Tensors

extension Matrix where Element: BLASScalar {
  /// Each row times its own factor.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  func scalingRows(by factors: [Element]) -> Matrix {
    var result = self
    let width = columns
    result.values.withUnsafeMutableBufferPointer { values in
      for (row, factor) in factors.enumerated() {
        for index in row * width..<(row + 1) * width { values[index] *= factor }
      }
    }
    return result
  }

  /// Each column times its own factor.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  func scalingColumns(by factors: [Element]) -> Matrix {
    var result = self
    let (height, width) = (rows, columns)
    result.values.withUnsafeMutableBufferPointer { values in
      factors.withUnsafeBufferPointer { factors in
        for row in 0..<height {
          for column in 0..<width { values[row * width + column] *= factors[column] }
        }
      }
    }
    return result
  }

  /// Element by element.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  func subtracting(_ other: Matrix) -> Matrix {
    precondition(rows == other.rows && columns == other.columns, "matrices of one size")
    return Matrix(rows: rows, columns: columns) { target in
      values.withUnsafeBufferPointer { left in
        other.values.withUnsafeBufferPointer { right in
          for index in left.indices {
            target.initializeElement(at: index, to: left[index] - right[index])
          }
        }
      }
    }
  }

  /// Some columns, from `first` on.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  func columns(_ range: Range<Int>) -> Matrix {
    Matrix(rows: rows, columns: range.count) { target in
      values.withUnsafeBufferPointer { source in
        var index = 0
        for row in 0..<rows {
          for column in range {
            target.initializeElement(at: index, to: source[row * columns + column])
            index += 1
          }
        }
      }
    }
  }

  /// ‖·‖_F², summed in f64.
  var squaredNorm: Double { summedSquares() }

  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  private func summedSquares() -> Double {
    values.withUnsafeBufferPointer { values in
      // Eight sums side by side: one alone waits for each addition.
      var sums = SIMD8<Double>.zero
      let whole = values.count / 8 * 8
      for start in stride(from: 0, to: whole, by: 8) {
        for lane in 0..<8 {
          let value = Double(values[start + lane])
          sums[lane] += value * value
        }
      }
      var sum = sums.sum()
      for index in whole..<values.count { sum += Double(values[index]) * Double(values[index]) }
      return sum
    }
  }

  /// Another precision, without going through the standard library's exact conversions.
  var inDouble: Matrix<Double> { widened() }

  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  private func widened() -> Matrix<Double> {
    Matrix<Double>(rows: rows, columns: columns) { target in
      values.withUnsafeBufferPointer { source in
        for index in source.indices {
          target.initializeElement(at: index, to: Double(source[index]))
        }
      }
    }
  }

  /// Numbers of f64, rounded to this precision.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  init(rounding other: Matrix<Double>) {
    self.init(rows: other.rows, columns: other.columns) { target in
      other.values.withUnsafeBufferPointer { source in
        for index in source.indices {
          target.initializeElement(at: index, to: Element(source[index]))
        }
      }
    }
  }

  /// Blocks side by side, all of one height.
  @_specialize(where Element == Float)
  @_specialize(where Element == Double)
  static func sideBySide(_ blocks: [Matrix]) -> Matrix {
    let height = blocks.first?.rows ?? 0
    let width = blocks.reduce(0) { $0 + $1.columns }
    precondition(blocks.allSatisfy { $0.rows == height }, "blocks of one height")
    return Matrix(rows: height, columns: width) { target in
      guard let base = target.baseAddress else { return }
      var left = 0
      for block in blocks {
        block.values.withUnsafeBufferPointer { source in
          guard let from = source.baseAddress else { return }
          for row in 0..<height {
            (base + row * width + left).initialize(
              from: from + row * block.columns, count: block.columns)
          }
        }
        left += block.columns
      }
    }
  }
}
