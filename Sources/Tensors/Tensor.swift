/// A tensor in memory: an element type, a shape, and row-major little-endian bytes.
///
/// Invariant: `bytes.count == shape.elementCount * dtype.bytes`.
public struct Tensor: Sendable {
  public let dtype: DType
  public let shape: Shape
  public let bytes: Bytes

  /// A tensor over bytes.
  ///
  /// - Throws: `TensorsError.byteCountMismatch` when the bytes do not fill the shape exactly.
  public init(dtype: DType, shape: Shape, bytes: Bytes) throws(TensorsError) {
    let expected = try shape.byteCount(of: dtype)
    guard bytes.count == expected else {
      throw .byteCountMismatch(expected: expected, found: bytes.count)
    }
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  /// A tensor over an array's elements; a wrong count is a bug of the caller.
  public init<Element: BitwiseCopyable>(dtype: DType, shape: Shape, array: [Element]) {
    precondition(MemoryLayout<Element>.stride == dtype.bytes, "element size of \(dtype)")
    precondition(array.count == shape.elementCount, "\(array.count) elements for \(shape)")
    self.dtype = dtype
    self.shape = shape
    self.bytes = Bytes(array)
  }

  /// The elements as f32; exact for every type but f64 and 32- and 64-bit integers, which round.
  public func floats() -> [Float] {
    Array(unsafeUninitializedCapacity: shape.elementCount) { target, initialized in
      bytes.withBuffer { FloatConversion.decode($0, as: dtype, into: target) }
      initialized = shape.elementCount
    }
  }
}
