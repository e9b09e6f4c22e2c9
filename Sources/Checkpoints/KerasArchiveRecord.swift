/// Reads the little-endian records of a zip archive's directory.
struct KerasArchiveRecord {
  /// An entry of the directory.
  struct Entry {
    var name: String
    var flags: UInt64
    var method: UInt64
    var checksum: UInt64
    var storedBytes: UInt64
    var bytes: UInt64
    var headerOffset: UInt64

    /// Stored or deflated, not encrypted.
    var isPlain: Bool { flags & 0x2041 == 0 && (method == 0 || method == 8) }
  }

  private let bytes: [UInt8]
  private let path: String
  private var position = 0

  init(bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  private func ended() -> CheckpointError {
    .archive(path: path, .damaged(reason: "its directory ends early"))
  }

  mutating func skip(_ count: Int) throws(CheckpointError) {
    guard count <= bytes.count - position else { throw ended() }
    position += count
  }

  mutating func number(_ count: Int) throws(CheckpointError) -> UInt64 {
    guard count <= bytes.count - position else { throw ended() }
    defer { position += count }
    return bytes[position..<position + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func expect(_ signature: UInt64) throws(CheckpointError) {
    guard try number(4) == signature else {
      throw .archive(path: path, .damaged(reason: "a record's signature is wrong"))
    }
  }

  /// The next entry; fields that do not fit in 32 bits come from the 64-bit extension.
  mutating func entry() throws(CheckpointError) -> Entry {
    try expect(0x0201_4B50)
    try skip(4)
    var entry = Entry(
      name: "", flags: try number(2), method: try number(2), checksum: 0, storedBytes: 0, bytes: 0,
      headerOffset: 0)
    try skip(4)
    entry.checksum = try number(4)
    entry.storedBytes = try number(4)
    entry.bytes = try number(4)
    let nameBytes = Int(try number(2))
    let extraBytes = Int(try number(2))
    let commentBytes = Int(try number(2))
    try skip(8)
    entry.headerOffset = try number(4)
    let nameStart = position
    try skip(nameBytes)
    entry.name = String(decoding: bytes[nameStart..<position], as: UTF8.self)
    let end = position + extraBytes
    guard end <= bytes.count else { throw ended() }
    while end - position >= 4 {
      let identifier = try number(2)
      let count = Int(try number(2))
      guard count <= end - position else { throw ended() }
      let next = position + count
      if identifier == 1 {
        if entry.bytes == 0xFFFF_FFFF { entry.bytes = try number(8) }
        if entry.storedBytes == 0xFFFF_FFFF { entry.storedBytes = try number(8) }
        if entry.headerOffset == 0xFFFF_FFFF { entry.headerOffset = try number(8) }
        guard position <= next else { throw ended() }
      }
      position = next
    }
    position = end
    try skip(commentBytes)
    return entry
  }
}
