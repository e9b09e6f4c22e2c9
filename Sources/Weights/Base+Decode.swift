import Kernels
import Tensors

extension DenseBase {
  /// A dense base from f32 values, rounded to a floating-point type, ties to even.
  public init(_ matrix: Matrix<Float>, as dtype: DType = .f32) {
    self.init(
      values: .encoded(matrix.values, as: dtype, shape: [matrix.rows, matrix.columns]))
  }

  public var rows: Int { values.shape.dimensions[0] }
  public var columns: Int { values.shape.dimensions[1] }

  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let stride = columns * values.dtype.bytes
    FloatConversion.decode(
      UnsafeRawBufferPointer(
        rebasing: values.bytes.buffer[range.lowerBound * stride..<range.upperBound * stride]),
      as: values.dtype,
      into: UnsafeMutableBufferPointer(start: target, count: range.count * columns))
  }
}

extension Base {
  /// Plain f32 values.
  public static func dense(_ matrix: Matrix<Float>, as dtype: DType = .f32) -> Base {
    .dense(DenseBase(matrix, as: dtype))
  }

  public var rows: Int {
    switch self {
    case .dense(let dense): dense.rows
    case .integer(let integer): integer.rows
    case .sparse(let sparse): sparse.rows
    case .table(let table): table.rows
    case .blocks(let blocks): blocks.rows
    case .mixed(let mixed): mixed.rows
    case .planes(let planes): planes.rows
    }
  }

  public var columns: Int {
    switch self {
    case .dense(let dense): dense.columns
    case .integer(let integer): integer.columns
    case .sparse(let sparse): sparse.columns
    case .table(let table): table.columns
    case .blocks(let blocks): blocks.columns
    case .mixed(let mixed): mixed.columns
    case .planes(let planes): planes.columns
    }
  }

  /// Whether the base holds codes rather than plain numbers.
  public var isQuantized: Bool {
    switch self {
    case .dense: false
    case .integer, .table, .blocks, .mixed, .planes: true
    case .sparse(let sparse): sparse.isQuantized
    }
  }

  /// Decodes some rows to `target`, which has room for `range.count × columns` f32.
  public func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    switch self {
    case .dense(let dense): dense.decode(rows: range, into: target)
    case .integer(let integer): integer.decode(rows: range, into: target)
    case .sparse(let sparse): sparse.decode(rows: range, into: target)
    case .table(let table): table.decode(rows: range, into: target)
    case .blocks(let blocks): blocks.decode(rows: range, into: target)
    case .mixed(let mixed): mixed.decode(rows: range, into: target)
    case .planes(let planes): planes.decode(rows: range, into: target)
    }
  }

  /// Some rows (all by default) as f32.
  public func decoded(rows range: Range<Int>? = nil) -> Matrix<Float> {
    let range = range ?? 0..<rows
    return Matrix(rows: range.count, columns: columns) { target in
      if let start = target.baseAddress { decode(rows: range, into: start) }
    }
  }

  /// The stored tensors.
  public var payloads: [Tensor] {
    switch self {
    case .dense(let dense): [dense.values]
    case .integer(let integer):
      [integer.codes, integer.scales] + (integer.zeros.map { [$0] } ?? [])
    case .sparse(let sparse): sparse.payloads
    case .table(let table): table.payloads
    case .blocks(let blocks): [blocks.blocks]
    case .mixed(let mixed): mixed.payloads
    case .planes(let planes): planes.payloads
    }
  }

  /// The f32 values where they lie, when they are plain f32: nothing has to be decoded then.
  func withFloats<Result>(_ body: (UnsafePointer<Float>) -> Result) -> Result? {
    guard case .dense(let dense) = self, dense.values.dtype == .f32,
      let start = dense.values.bytes.buffer.baseAddress,
      UInt(bitPattern: start) % 4 == 0
    else { return nil }
    return body(start.assumingMemoryBound(to: Float.self))
  }
}
