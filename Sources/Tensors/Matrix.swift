/// A dense matrix, row-major: element (r, c) is `values[r * columns + c]`.
///
/// A linear layer's weight is `out × in`; activations are rows (docs/architecture.md §1).
/// Invariant: `values.count == rows * columns`, both extents non-negative.
public struct Matrix<Element: Sendable>: Sendable {
  public let rows: Int
  public let columns: Int
  @usableFromInline var storage: [Element]

  /// The elements, row after row.
  ///
  /// Changed in place: a `didSet` here would copy the whole array at every assignment of one
  /// element.
  @inlinable public var values: [Element] {
    get { storage }
    _modify {
      yield &storage
      precondition(storage.count == rows * columns, "a matrix keeps its element count")
    }
  }

  /// A matrix over existing values; a wrong count is a bug of the caller.
  @inlinable public init(rows: Int, columns: Int, values: [Element]) {
    precondition(rows >= 0 && columns >= 0, "negative extent \(rows) × \(columns)")
    precondition(
      values.count == rows * columns, "\(values.count) values for \(rows) × \(columns)")
    self.rows = rows
    self.columns = columns
    self.storage = values
  }

  /// A matrix with every element the same.
  @inlinable public init(rows: Int, columns: Int, repeating element: Element) {
    self.init(
      rows: rows, columns: columns, values: Array(repeating: element, count: rows * columns))
  }

  /// A matrix whose storage the closure fills; every element must be initialised.
  @inlinable public init(
    rows: Int, columns: Int,
    initializingWith fill: (UnsafeMutableBufferPointer<Element>) throws -> Void
  ) rethrows {
    precondition(rows >= 0 && columns >= 0, "negative extent \(rows) × \(columns)")
    let count = rows * columns
    self.rows = rows
    self.columns = columns
    self.storage = try Array(unsafeUninitializedCapacity: count) { buffer, initialized in
      LargePages.advise(UnsafeMutableRawBufferPointer(buffer))
      try fill(UnsafeMutableBufferPointer(rebasing: buffer[0..<count]))
      initialized = count
    }
  }

  /// Element (row, column).
  @inlinable public subscript(row: Int, column: Int) -> Element {
    get {
      precondition(column >= 0 && column < columns, "column \(column) of \(columns)")
      return values[row * columns + column]
    }
    set {
      precondition(column >= 0 && column < columns, "column \(column) of \(columns)")
      values[row * columns + column] = newValue
    }
  }

  /// The range of `values` that holds a row.
  @inlinable public func range(ofRow row: Int) -> Range<Int> { row * columns..<(row + 1) * columns }

  /// A copy of some rows.
  @inlinable public func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      rows: range.count, columns: columns,
      values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// The transpose, copied in tiles so that both sides stay in cache.
  @inlinable public var transposed: Matrix {
    // Sixteen f32 fill a cache line of the result. A tile's strided side must not have more lines
    // than the first cache has ways: with power-of-two strides all of them compete for one set.
    let (tileRows, tileColumns) = (16, 8)
    return Matrix(rows: columns, columns: rows) { target in
      values.withUnsafeBufferPointer { source in
        guard let to = target.baseAddress, let from = source.baseAddress else { return }
        for rowStart in stride(from: 0, to: rows, by: tileRows) {
          let rowEnd = min(rowStart + tileRows, rows)
          for columnStart in stride(from: 0, to: columns, by: tileColumns) {
            for column in columnStart..<min(columnStart + tileColumns, columns) {
              let line = to + column * rows
              for row in rowStart..<rowEnd {
                (line + row).initialize(to: from[row * columns + column])
              }
            }
          }
        }
      }
    }
  }
}

extension Matrix: Equatable where Element: Equatable {}

extension Matrix where Element: BinaryFloatingPoint {
  /// The identity of a given order.
  @inlinable public static func identity(_ order: Int) -> Matrix {
    var result = Matrix(rows: order, columns: order, repeating: 0)
    for index in 0..<order { result[index, index] = 1 }
    return result
  }

  /// The same numbers in another precision.
  @inlinable public func converted<Other: BinaryFloatingPoint & Sendable>(to: Other.Type) -> Matrix<
    Other
  > {
    Matrix<Other>(rows: rows, columns: columns, values: values.map { Other($0) })
  }
}
