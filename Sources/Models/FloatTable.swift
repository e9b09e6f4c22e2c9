import Tensors

/// A matrix of f32 in memory, or of a narrower type that is decoded as rows are read.
public struct FloatTable: Sendable {
  public let rows: Int
  public let columns: Int
  private let dtype: DType
  private let bytes: Bytes

  /// A table over a tensor of two axes; another rank is a bug of the caller.
  public init(_ tensor: Tensor) {
    precondition(tensor.shape.rank == 2 && tensor.dtype.isFloatingPoint, "a table is a matrix")
    rows = tensor.shape.dimensions[0]
    columns = tensor.shape.dimensions[1]
    dtype = tensor.dtype
    // A mapped file may start its data anywhere; f32 loads want their alignment.
    let aligned = UInt(bitPattern: tensor.bytes.buffer.baseAddress) % 4 == 0
    bytes = tensor.dtype == .f32 && !aligned ? Bytes(tensor.floats()) : tensor.bytes
  }

  /// A table over values in memory.
  public init(floats: [Float], rows: Int, columns: Int) {
    precondition(floats.count == rows * columns, "\(floats.count) values, \(rows) × \(columns)")
    self.rows = rows
    self.columns = columns
    dtype = .f32
    bytes = Bytes(floats)
  }

  /// The same numbers in f32.
  public var decoded: FloatTable {
    if dtype == .f32 { return self }
    return FloatTable(
      floats: Array(unsafeUninitializedCapacity: rows * columns) { target, count in
        FloatConversion.decode(bytes.buffer, as: dtype, into: target)
        count = rows * columns
      }, rows: rows, columns: columns)
  }

  /// The bytes that the table takes.
  public var byteCount: Int { bytes.count }

  /// The values, when they are f32.
  var floats: UnsafePointer<Float>? {
    dtype == .f32 ? bytes.buffer.baseAddress?.assumingMemoryBound(to: Float.self) : nil
  }

  /// Writes some rows as f32; out of range is a bug of the caller.
  public func read(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    let bytesPerRow = columns * dtype.bytes
    FloatConversion.decode(
      UnsafeRawBufferPointer(
        rebasing: bytes.buffer[range.lowerBound * bytesPerRow..<range.upperBound * bytesPerRow]),
      as: dtype, into: UnsafeMutableBufferPointer(start: target, count: range.count * columns))
  }
}
