/// Reads the child process's records; every length is checked, because a file that overwrote the
/// child's memory may have written them.
struct HDF5IndexCursor {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  /// The bytes ended inside a record.
  struct Ended: Error {}

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func byte() throws(Ended) -> UInt8 {
    guard position < bytes.count else { throw Ended() }
    position += 1
    return bytes[position - 1]
  }

  mutating func number() throws(Ended) -> UInt64 {
    guard bytes.count - position >= 8 else { throw Ended() }
    position += 8
    return bytes.loadUnaligned(fromByteOffset: position - 8, as: UInt64.self)
  }

  /// A number that is small when the record is sound.
  mutating func count(upTo limit: Int) throws(Ended) -> Int {
    let value = try number()
    guard value <= UInt64(limit) else { throw Ended() }
    return Int(value)
  }

  mutating func numbers(_ count: Int) throws(Ended) -> [UInt64] {
    guard count <= (bytes.count - position) / 8 else { throw Ended() }
    var values: [UInt64] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try number()) }
    return values
  }

  /// A text; nil when it is not UTF-8.
  mutating func text() throws(Ended) -> String? {
    let count = try count(upTo: bytes.count - position)
    defer { position += count }
    return String(
      validating: UnsafeRawBufferPointer(rebasing: bytes[position..<position + count]),
      as: UTF8.self)
  }

  /// A text for a message.
  mutating func shownText() throws(Ended) -> String {
    let count = try count(upTo: bytes.count - position)
    defer { position += count }
    return String(decoding: bytes[position..<position + count], as: UTF8.self)
  }
}
