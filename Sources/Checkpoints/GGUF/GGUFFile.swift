import Tensors

/// A GGUF file, open for reading: its metadata, and its tensors as bytes.
public final class GGUFFile: Sendable {
  /// A tensor: blocks of values, row after row.
  public struct Entry: Sendable, Hashable {
    public let name: String
    /// Outermost extent first.
    public let shape: Shape
    public let type: GGUFBlockType
    public let byteCount: Int
    let offset: Int

    /// Values of one row.
    public var columns: Int { shape.dimensions.last ?? 1 }
    /// Rows, all outer extents together.
    public var rows: Int { shape.elementCount / max(columns, 1) }
    /// Bytes of one row.
    public var rowBytes: Int { byteCount / max(rows, 1) }
  }

  public let path: String
  /// In the file's order.
  public let metadata: [(key: String, value: GGUFValue)]
  public let entries: [Entry]
  private let file: ReadOnlyFile
  private let byKey: [String: GGUFValue]

  /// Opens a file and validates its header.
  ///
  /// - Throws: `CheckpointError.gguf` with what is wrong with it, and the file's own errors.
  public init(path: String) throws(CheckpointError) {
    let file = try ReadOnlyFile(path: path)
    let header = try GGUFHeader(reading: file)
    self.path = path
    self.file = file
    metadata = header.metadata
    byKey = Dictionary(header.metadata.map { ($0.key, $0.value) }) { first, _ in first }
    entries = header.entries.map {
      Entry(
        name: $0.name, shape: Shape($0.shape), type: $0.type, byteCount: $0.byteCount,
        offset: header.dataOffset + $0.offset)
    }
  }

  /// A metadata value.
  public subscript(key: String) -> GGUFValue? { byKey[key] }

  /// The blocks of some rows.
  public func read(
    _ entry: Entry, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= entry.rows, "rows \(rows)")
    precondition(target.count == rows.count * entry.rowBytes, "bytes for \(rows)")
    try file.read(at: entry.offset + rows.lowerBound * entry.rowBytes, into: target)
  }

  /// All blocks by memory mapping.
  public func mapped(_ entry: Entry) throws(CheckpointError) -> Bytes {
    try file.map(entry.offset..<entry.offset + entry.byteCount)
  }
}
