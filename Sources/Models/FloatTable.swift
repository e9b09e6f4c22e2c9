import Foundation
import Tensors
import Weights

/// A matrix of f32 in memory, or of a narrower type or a compressed weight that is decoded as rows
/// are read.
public struct FloatTable: Sendable {
  public let rows: Int
  public let columns: Int
  private let dtype: DType
  private let bytes: Bytes
  /// Whether the bytes are a file's pages that are let go after use.
  private let isTransient: Bool
  /// What rows are decoded from, when it is not `bytes`.
  private let compressed: CompressedWeight?

  /// A table over a tensor of two axes; another rank is a bug of the caller.
  public init(_ tensor: Tensor) {
    isTransient = false
    compressed = nil
    precondition(tensor.shape.rank == 2 && tensor.dtype.isFloatingPoint, "a table is a matrix")
    rows = tensor.shape.dimensions[0]
    columns = tensor.shape.dimensions[1]
    dtype = tensor.dtype
    // A mapped file may start its data anywhere; f32 loads want their alignment.
    let aligned = UInt(bitPattern: tensor.bytes.buffer.baseAddress) % 4 == 0
    bytes = tensor.dtype == .f32 && !aligned ? Bytes(tensor.floats()) : tensor.bytes
  }

  /// A table over a mapped file whose pages leave memory as soon as their rows were used: a large
  /// vocabulary then takes no more than the tile at hand.
  ///
  /// A trap: the bytes must be a read-only mapping of a file. Other memory would lose its content.
  init(transient tensor: Tensor) {
    precondition(tensor.shape.rank == 2 && tensor.dtype.isFloatingPoint, "a table is a matrix")
    isTransient = true
    compressed = nil
    rows = tensor.shape.dimensions[0]
    columns = tensor.shape.dimensions[1]
    dtype = tensor.dtype
    bytes = tensor.bytes
  }

  /// A table over values in memory.
  public init(floats: [Float], rows: Int, columns: Int) {
    isTransient = false
    compressed = nil
    precondition(floats.count == rows * columns, "\(floats.count) values, \(rows) × \(columns)")
    self.rows = rows
    self.columns = columns
    dtype = .f32
    bytes = Bytes(floats)
  }

  /// A table over a compressed weight, rows as its outputs.
  public init(_ weight: CompressedWeight) {
    isTransient = false
    compressed = weight
    rows = weight.rows
    columns = weight.columns
    dtype = .f32
    bytes = Bytes([UInt8]())
  }

  /// The same numbers in f32.
  public var decoded: FloatTable {
    if let compressed {
      return FloatTable(floats: compressed.decoded().values, rows: rows, columns: columns)
    }
    if dtype == .f32 { return self }
    return FloatTable(
      floats: Array(unsafeUninitializedCapacity: rows * columns) { target, count in
        FloatConversion.decode(bytes.buffer, as: dtype, into: target)
        count = rows * columns
      }, rows: rows, columns: columns)
  }

  /// The bytes that the table takes.
  public var byteCount: Int { compressed?.residentBytes ?? bytes.count }

  /// The values, when they are f32 and aligned as such.
  var floats: UnsafePointer<Float>? {
    guard compressed == nil, dtype == .f32, UInt(bitPattern: bytes.buffer.baseAddress) % 4 == 0
    else { return nil }
    return bytes.buffer.baseAddress?.assumingMemoryBound(to: Float.self)
  }

  /// Writes some rows as f32; out of range is a bug of the caller.
  public func read(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    if let compressed {
      let values = compressed.decoded(rows: range).values
      values.withUnsafeBufferPointer { source in
        if let start = source.baseAddress { target.update(from: start, count: source.count) }
      }
      return
    }
    let bytesPerRow = columns * dtype.bytes
    FloatConversion.decode(
      UnsafeRawBufferPointer(
        rebasing: bytes.buffer[range.lowerBound * bytesPerRow..<range.upperBound * bytesPerRow]),
      as: dtype, into: UnsafeMutableBufferPointer(start: target, count: range.count * columns))
    letGo(rows: range)
  }

  /// Lets the pages of some rows leave memory, when the table is transient; they come back from the
  /// file when they are touched again, whoever else reads them meanwhile.
  func letGo(rows range: Range<Int>) {
    guard isTransient, let base = bytes.buffer.baseAddress, !range.isEmpty else { return }
    let page = UInt(getpagesize())
    let bytesPerRow = UInt(columns * dtype.bytes)
    let start = UInt(bitPattern: base)
    // A fault brings in its neighbours too, up to 64 KiB on Linux: they go as well.
    let around: UInt = 64 << 10
    let first = max(
      start / page * page, (start + UInt(range.lowerBound) * bytesPerRow) / around * around)
    let whole = (start + UInt(bytes.count) + page - 1) / page * page
    let last = min(whole, (start + UInt(range.upperBound) * bytesPerRow) / around * around + around)
    madvise(UnsafeMutableRawPointer(bitPattern: first), Int(last - first), MADV_DONTNEED)
  }
}
