import Tensors

/// The check that comes before every decomposition: LAPACK hangs or returns garbage on NaN.
public enum Finiteness {
  /// The index of the first NaN or infinity, nil when every number is finite.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func firstNonFinite<S: BinaryFloatingPoint>(_ values: [S]) -> Int? {
    values.withUnsafeBufferPointer { firstNonFinite($0) }
  }

  /// The index of the first NaN or infinity, nil when every number is finite.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func firstNonFinite<S: BinaryFloatingPoint>(
    _ values: UnsafeBufferPointer<S>
  ) -> Int? {
    // x · 0 is 0 for finite x and NaN otherwise: sums of a block vectorise, and only a block
    // that is bad is searched.
    let block = 512
    for start in stride(from: 0, to: values.count, by: block) {
      let range = start..<min(start + block, values.count)
      var marks: (S, S, S, S) = (0, 0, 0, 0)
      var index = range.lowerBound
      while index + 3 < range.upperBound {
        marks.0 += values[index] * 0
        marks.1 += values[index + 1] * 0
        marks.2 += values[index + 2] * 0
        marks.3 += values[index + 3] * 0
        index += 4
      }
      while index < range.upperBound {
        marks.0 += values[index] * 0
        index += 1
      }
      if marks.0 + marks.1 + marks.2 + marks.3 == 0 { continue }
      if let found = range.first(where: { !values[$0].isFinite }) { return found }
    }
    return nil
  }

  /// Throws `LinearAlgebraError.notFinite` with the position of the first NaN or infinity.
  static func check<S: BinaryFloatingPoint>(
    _ matrix: Matrix<S>, routine: String
  ) throws(LinearAlgebraError) {
    guard let index = firstNonFinite(matrix.values) else { return }
    throw .notFinite(
      routine: routine, row: index / matrix.columns, column: index % matrix.columns,
      value: "\(matrix.values[index])")
  }
}
