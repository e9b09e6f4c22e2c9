import Tensors

/// A GGUF file (version 3) being written.
public final class GGUFSink: Sendable {
  /// A tensor to come.
  public struct Entry: Sendable, Hashable {
    public var name: String
    /// Outermost extent first.
    public var shape: [Int]
    public var type: GGUFBlockType

    public init(name: String, shape: [Int], type: GGUFBlockType) {
      self.name = name
      self.shape = shape
      self.type = type
    }

    /// Bytes of all blocks; rows that blocks do not divide are a bug of the caller.
    public var byteCount: Int {
      guard let row = type.rowBytes(columns: shape.last ?? 1) else {
        preconditionFailure("\(name): \(type) for rows of \(shape.last ?? 1)")
      }
      return row * shape.dropLast().reduce(1, *)
    }
  }

  private let file: PlacedTensors

  /// Lays the file out, writes its header and reserves its whole size.
  ///
  /// - Throws: `CheckpointError.gguf(.nameTooLong)`, `.diskFull`, `.cannotWrite`.
  public init(
    path: String, metadata: [(key: String, value: GGUFValue)], tensors: [Entry]
  ) throws(CheckpointError) {
    var header = GGUFHeader.magic
    Self.append(UInt32(3), to: &header)
    Self.append(UInt64(tensors.count), to: &header)
    Self.append(UInt64(metadata.count), to: &header)
    for (key, value) in metadata {
      Self.append(key, to: &header)
      Self.append(value.type, to: &header)
      Self.append(value, to: &header)
    }
    let alignment = GGUFHeader.defaultAlignment
    func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
    var offsets: [Int] = []
    var end = 0
    for tensor in tensors {
      guard tensor.name.utf8.count <= 63 else {
        throw .gguf(path: path, .nameTooLong(tensor: tensor.name))
      }
      offsets.append(end)
      Self.append(tensor.name, to: &header)
      Self.append(UInt32(tensor.shape.count), to: &header)
      for extent in tensor.shape.reversed() { Self.append(UInt64(extent), to: &header) }
      Self.append(tensor.type.rawValue, to: &header)
      Self.append(UInt64(end), to: &header)
      end = aligned(end + tensor.byteCount)
    }
    let start = aligned(header.count)
    file = try PlacedTensors(
      path: path, header: header,
      places: zip(tensors, offsets).map {
        ($0.name, start + $1..<start + $1 + $0.byteCount)
      }, byteCount: start + end)
  }

  /// Writes bytes of a tensor's blocks; safe from several threads for different ranges.
  public func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError) {
    try file.write(bytes, to: tensor, at: byteOffset)
  }

  /// The place of a tensor's first byte in the file.
  public func position(of tensor: String) -> Int { file.position(of: tensor) }

  /// Flushes to the disk and renames into place.
  public func finish() throws(CheckpointError) { try file.finish(durably: true) }

  // MARK: Little-endian bytes

  private static func append<Value: FixedWidthInteger>(_ value: Value, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func append(_ text: String, to bytes: inout [UInt8]) {
    append(UInt64(text.utf8.count), to: &bytes)
    bytes.append(contentsOf: text.utf8)
  }

  private static func append(_ value: GGUFValue, to bytes: inout [UInt8]) {
    switch value {
    case .u8(let value): append(value, to: &bytes)
    case .i8(let value): append(value, to: &bytes)
    case .u16(let value): append(value, to: &bytes)
    case .i16(let value): append(value, to: &bytes)
    case .u32(let value): append(value, to: &bytes)
    case .i32(let value): append(value, to: &bytes)
    case .f32(let value): append(value.bitPattern, to: &bytes)
    case .bool(let value): append(UInt8(value ? 1 : 0), to: &bytes)
    case .string(let value): append(value, to: &bytes)
    case .array(let type, let values):
      append(type, to: &bytes)
      append(UInt64(values.count), to: &bytes)
      for value in values { append(value, to: &bytes) }
    case .u64(let value): append(value, to: &bytes)
    case .i64(let value): append(value, to: &bytes)
    case .f64(let value): append(value.bitPattern, to: &bytes)
    }
  }
}
