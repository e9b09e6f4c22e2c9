import Tensors

/// What a checkpoint says of one tensor, without its values.
public struct TensorDescription: Sendable, Hashable {
  /// The name; nested groups are joined by "/".
  public let name: String
  public let dtype: DType
  public let shape: Shape
  public let storage: TensorStorage
  /// The first tensor in the file whose bytes these are too (a hard link, a tied weight).
  public let sharesStorageWith: String?
  /// Attributes of the dataset, as far as they are numbers and texts.
  public let attributes: [String: AttributeValue]

  public init(
    name: String, dtype: DType, shape: Shape, storage: TensorStorage,
    sharesStorageWith: String? = nil, attributes: [String: AttributeValue] = [:]
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
    self.sharesStorageWith = sharesStorageWith
    self.attributes = attributes
  }

  /// The bytes that the values take when decoded; checked when the file was opened.
  public var byteCount: Int { shape.elementCount * dtype.bytes }

  /// The bytes of one step of the outermost extent.
  public var rowByteCount: Int { shape.rowElementCount * dtype.bytes }
}

/// Where a tensor's bytes lie.
public enum TensorStorage: Sendable, Hashable {
  /// Little-endian bytes in one run at an offset of `file`: can be read with pread and mapped.
  case contiguous(file: String, offset: Int)
  /// Must be decoded: chunks, compression, a foreign byte order. The text says which.
  case encoded(String)
  /// No bytes at all.
  case empty
}
