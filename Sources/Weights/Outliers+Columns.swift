import Tensors

extension Outliers {
  /// Outliers from column numbers (ascending) and their values, `rows × columns.count`.
  public init(columns: [Int], values: Matrix<Float>, as dtype: DType = .f16) {
    precondition(values.columns == columns.count, "a column of values for each number")
    self.init(
      columns: Tensor(dtype: .i32, shape: [columns.count], array: columns.map(Int32.init)),
      values: .encoded(values.values, as: dtype, shape: [values.rows, values.columns]))
  }

  /// The column numbers.
  public var columnNumbers: [Int] { columns.bytes.array(of: Int32.self).map(Int.init) }

  /// How many columns.
  public var count: Int { columns.shape.elementCount }

  /// The values of some rows, `range.count × count`.
  func decoded(rows range: Range<Int>) -> Matrix<Float> {
    Base.dense(DenseBase(values: values)).decoded(rows: range)
  }

  /// Adds the columns to some rows of values, `range.count × width`.
  func add(to target: UnsafeMutablePointer<Float>, rows range: Range<Int>, width: Int) {
    let numbers = columnNumbers
    let found = decoded(rows: range)
    for row in 0..<range.count {
      for (index, column) in numbers.enumerated() {
        target[row * width + column] += found.values[row * numbers.count + index]
      }
    }
  }
}
