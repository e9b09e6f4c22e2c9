import Tensors

/// What a GGUF file says before its data: metadata and where the tensors lie.
struct GGUFHeader {
  struct Entry {
    var name: String
    /// Outermost first, as everywhere in this program; the file has the innermost first.
    var shape: [Int]
    var type: GGUFBlockType
    /// From the data's beginning.
    var offset: Int
    var byteCount: Int
  }

  var metadata: [(key: String, value: GGUFValue)] = []
  var entries: [Entry] = []
  var dataOffset = 0

  static let magic = Array("GGUF".utf8)
  static let defaultAlignment = 32
  /// Headers hold vocabularies; more than this is no header.
  static let maximumBytes = 256 << 20
  static let maximumCount = 1 << 20
  static let maximumAxes = 4

  /// Reads and validates a header; sizes are checked against the file before memory is asked for.
  init(reading file: ReadOnlyFile) throws(CheckpointError) {
    var cursor = try GGUFCursor(file)
    guard try cursor.bytes(4) == Self.magic else {
      throw .gguf(path: file.path, .notGGUF)
    }
    let version: UInt32 = try cursor.integer()
    guard (2...3).contains(version) else {
      throw .gguf(path: file.path, .version(version))
    }
    let tensorCount = try cursor.count(limit: Self.maximumCount, of: "tensors")
    let metadataCount = try cursor.count(limit: Self.maximumCount, of: "metadata entries")
    var keys = Set<String>()
    for _ in 0..<metadataCount {
      let key = try cursor.string()
      guard keys.insert(key).inserted else { throw .gguf(path: file.path, .duplicate(key)) }
      metadata.append((key, try cursor.value(ofType: try cursor.integer())))
    }
    var names = Set<String>()
    for _ in 0..<tensorCount {
      let entry = try Self.entry(&cursor)
      guard names.insert(entry.name).inserted else {
        throw .gguf(path: file.path, .duplicate(entry.name))
      }
      entries.append(entry)
    }
    let alignment = value("general.alignment")?.int ?? Self.defaultAlignment
    guard alignment > 0, alignment <= 1 << 20, alignment & (alignment - 1) == 0 else {
      throw .gguf(path: file.path, .alignment(alignment))
    }
    dataOffset = (cursor.position + alignment - 1) / alignment * alignment
    let available = max(0, file.size - dataOffset)
    for entry in entries {
      guard entry.offset % alignment == 0 else {
        throw .gguf(path: file.path, .misaligned(tensor: entry.name, offset: entry.offset))
      }
      guard entry.byteCount <= available, entry.offset <= available - entry.byteCount else {
        throw .gguf(
          path: file.path,
          .pastEnd(
            tensor: entry.name,
            end: entry.offset.addingReportingOverflow(entry.byteCount)
              .partialValue, available: available))
      }
    }
    try Self.checkOverlaps(entries, path: file.path)
  }

  func value(_ key: String) -> GGUFValue? { metadata.first { $0.key == key }?.value }

  private static func entry(_ cursor: inout GGUFCursor) throws(CheckpointError) -> Entry {
    let path = cursor.path
    let name = try cursor.string()
    let axes: UInt32 = try cursor.integer()
    guard axes <= maximumAxes else { throw .gguf(path: path, .axes(tensor: name, Int(axes))) }
    var extents: [Int] = []
    var elements = 1
    for _ in 0..<axes {
      let extent: UInt64 = try cursor.integer()
      let (product, overflow) = elements.multipliedReportingOverflow(
        by: Int(exactly: extent) ?? .max)
      guard !overflow, product < 1 << 56 else { throw .gguf(path: path, .shape(tensor: name)) }
      elements = product
      extents.append(Int(extent))
    }
    let number: UInt32 = try cursor.integer()
    guard let type = GGUFBlockType(rawValue: number) else {
      throw .gguf(path: path, .type(tensor: name, number))
    }
    guard let offset = Int(exactly: try cursor.integer() as UInt64) else {
      throw .gguf(path: path, .shape(tensor: name))
    }
    guard let rowBytes = type.rowBytes(columns: extents.first ?? 1) else {
      throw .gguf(
        path: path, .row(tensor: name, columns: extents.first ?? 1, block: type.blockLength))
    }
    let rows = extents.dropFirst().reduce(1, *)
    return Entry(
      name: name, shape: extents.reversed(), type: type, offset: offset,
      byteCount: rowBytes * rows)
  }

  private static func checkOverlaps(
    _ entries: [Entry], path: String
  ) throws(CheckpointError) {
    let ordered = entries.filter { $0.byteCount > 0 }.sorted { $0.offset < $1.offset }
    for (first, second) in zip(ordered, ordered.dropFirst())
    where first.offset + first.byteCount > second.offset {
      throw .gguf(path: path, .overlap(tensor: second.name, other: first.name))
    }
  }
}
