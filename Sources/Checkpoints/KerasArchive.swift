/// A member of a zip archive.
struct KerasArchiveMember: Sendable, Hashable {
  let name: String
  let isDeflated: Bool
  let checksum: UInt32
  /// The member's bytes in the file, as they are stored.
  let range: Range<Int>
  let byteCount: Int
}

/// The directory of a zip archive, as far as .keras archives need it: members that are stored or
/// deflated, with the 64-bit extension, without encryption, in one part.
///
/// The layout is that of PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
struct KerasArchive: Sendable {
  let file: ReadOnlyFile
  let members: [KerasArchiveMember]

  /// No archive of a model has more, and each costs memory.
  private static let directoryBytes = 16 << 20

  /// Reads and validates the directory.
  ///
  /// - Throws: `.archive` with `.noDirectory`, `.damaged` or `.unsupported`.
  init(file: ReadOnlyFile) throws(CheckpointError) {
    self.file = file
    let (count, range) = try Self.directory(of: file)
    var records = KerasArchiveRecord(bytes: try file.bytes(range), path: file.path)
    var members: [KerasArchiveMember] = []
    var names: Set<String> = []
    for _ in 0..<count {
      let entry = try records.entry()
      guard names.insert(entry.name).inserted else {
        throw .archive(path: file.path, .damaged(reason: "it names '\(entry.name)' twice"))
      }
      guard entry.isPlain else {
        throw .archive(
          path: file.path,
          .unsupported(member: entry.name, reason: "it is encrypted or compressed unusually"))
      }
      members.append(try Self.member(entry, in: file, before: range.lowerBound))
    }
    self.members = members
  }

  /// The member of a name.
  func member(_ name: String) throws(CheckpointError) -> KerasArchiveMember {
    guard let member = members.first(where: { $0.name == name }) else {
      throw .archive(path: file.path, .missingMember(name))
    }
    return member
  }

  /// The number of entries and where the directory lies, from the record at the file's end.
  private static func directory(of file: ReadOnlyFile) throws(CheckpointError) -> (Int, Range<Int>)
  {
    let start = max(0, file.size - 65_557)
    let tail = try file.bytes(start..<file.size)
    guard let end = tail.indices.reversed().first(where: { isEnd(tail, $0) }) else {
      throw .archive(path: file.path, .noDirectory)
    }
    var record = KerasArchiveRecord(bytes: Array(tail[end...]), path: file.path)
    try record.skip(4 + 2 + 2 + 2)
    var count = Int(try record.number(2))
    var bytes = try record.number(4)
    var offset = try record.number(4)
    if count == 0xFFFF || bytes == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
      (count, bytes, offset) = try largeDirectory(of: file, endRecord: start + end)
    }
    guard bytes <= UInt64(directoryBytes), offset <= UInt64(start + end),
      bytes <= UInt64(start + end) - offset, count <= Int(bytes) / 46
    else { throw .archive(path: file.path, .damaged(reason: "its directory lies outside it")) }
    return (count, Int(offset)..<Int(offset) + Int(bytes))
  }

  private static func isEnd(_ tail: [UInt8], _ position: Int) -> Bool {
    guard position + 22 <= tail.count, tail[position] == 0x50, tail[position + 1] == 0x4B,
      tail[position + 2] == 5, tail[position + 3] == 6
    else { return false }
    // The comment must reach to the end exactly: its text may hold the signature too.
    let comment = Int(tail[position + 20]) | Int(tail[position + 21]) << 8
    return position + 22 + comment == tail.count
  }

  private static func largeDirectory(
    of file: ReadOnlyFile, endRecord: Int
  ) throws(CheckpointError) -> (Int, UInt64, UInt64) {
    guard endRecord >= 20 else { throw .archive(path: file.path, .noDirectory) }
    var locator = KerasArchiveRecord(
      bytes: try file.bytes(endRecord - 20..<endRecord), path: file.path)
    try locator.expect(0x0706_4B50)
    try locator.skip(4)
    guard let position = Int(exactly: try locator.number(8)), position <= endRecord - 56 else {
      throw .archive(path: file.path, .noDirectory)
    }
    var record = KerasArchiveRecord(
      bytes: try file.bytes(position..<position + 56), path: file.path)
    try record.expect(0x0606_4B50)
    try record.skip(8 + 2 + 2 + 4 + 4 + 8)
    guard let count = Int(exactly: try record.number(8)) else {
      throw .archive(path: file.path, .noDirectory)
    }
    return (count, try record.number(8), try record.number(8))
  }

  /// Where the entry's bytes lie: after its local header, whose length only it tells.
  private static func member(
    _ entry: KerasArchiveRecord.Entry, in file: ReadOnlyFile, before limit: Int
  ) throws(CheckpointError) -> KerasArchiveMember {
    guard let header = Int(exactly: entry.headerOffset), header <= limit - 30,
      let stored = Int(exactly: entry.storedBytes), let bytes = Int(exactly: entry.bytes)
    else {
      throw .archive(path: file.path, .damaged(reason: "'\(entry.name)' lies outside it"))
    }
    var local = KerasArchiveRecord(bytes: try file.bytes(header..<header + 30), path: file.path)
    try local.expect(0x0403_4B50)
    try local.skip(22)
    let start = header + 30 + Int(try local.number(2)) + Int(try local.number(2))
    guard start <= limit, stored <= limit - start, entry.method == 8 || stored == bytes else {
      throw .archive(path: file.path, .damaged(reason: "'\(entry.name)' lies outside it"))
    }
    return KerasArchiveMember(
      name: entry.name, isDeflated: entry.method == 8, checksum: UInt32(entry.checksum),
      range: start..<start + stored, byteCount: bytes)
  }
}
