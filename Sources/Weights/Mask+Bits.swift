import Kernels
import Tensors

extension Mask {
  /// A mask of bits that nobody asked anything of.
  public static func bitmap(_ bits: Tensor) -> Mask { Mask(bits: bits) }

  /// A mask that keeps the entries for which the closure says so.
  public init(rows: Int, columns: Int, keeping isKept: (_ row: Int, _ column: Int) -> Bool) {
    let stride = (columns + 7) / 8
    var bytes = [UInt8](repeating: 0, count: rows * stride)
    for row in 0..<rows {
      for column in 0..<columns where isKept(row, column) {
        bytes[row * stride + column / 8] |= 1 << UInt8(column % 8)
      }
    }
    self.init(bits: Tensor(dtype: .u8, shape: [rows, stride], array: bytes))
  }

  /// Whether an entry counts.
  public func isKept(_ row: Int, _ column: Int) -> Bool {
    let stride = bits.shape.dimensions[1]
    return bits.bytes.buffer[row * stride + column / 8] >> UInt8(column % 8) & 1 == 1
  }

  /// How many entries count.
  public var keptCount: Int {
    bits.bytes.buffer.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  /// The entries that both masks keep; masks of different sizes are a bug of the caller.
  ///
  /// A pattern of one of them still holds afterwards, a fraction need not.
  public func intersecting(_ other: Mask) -> Mask {
    precondition(bits.shape == other.bits.shape, "masks of one size")
    let both = zip(bits.bytes.buffer, other.bits.bytes.buffer).map { $0 & $1 }
    let claims = [claim, other.claim].compactMap { $0 }.filter(\.isPattern)
    return Mask(
      bits: Tensor(dtype: .u8, shape: bits.shape, array: both), claim: claims.last)
  }

  /// Zeroes what does not count in some rows of values, `range.count × columns`.
  func apply(to values: UnsafeMutablePointer<Float>, rows range: Range<Int>, columns: Int) {
    let stride = bits.shape.dimensions[1]
    precondition(
      bits.shape.rank == 2 && stride == (columns + 7) / 8 && range.upperBound <= bits.shape.rows,
      "a mask of \(bits.shape) on \(columns) columns")
    guard let start = bits.bytes.buffer.baseAddress else { return }
    let bytes = start.assumingMemoryBound(to: UInt8.self)
    for (index, row) in range.enumerated() {
      pith_apply_bitmap(values + index * columns, bytes + row * stride, columns)
    }
  }

  /// A matrix with zeros where the mask says so.
  public func applied(to matrix: Matrix<Float>) -> Matrix<Float> {
    var result = matrix
    result.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      apply(to: start, rows: 0..<matrix.rows, columns: matrix.columns)
    }
    return result
  }
}
