import CZlib

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension KerasArchive {
  /// Texts in an archive are no larger than this.
  private static let textBytes = 64 << 20
  /// Pieces that are read and unfolded at once.
  private static let pieceBytes = 1 << 20

  /// A small member as text, its checksum checked.
  func text(_ member: KerasArchiveMember) throws(CheckpointError) -> String {
    guard member.byteCount <= Self.textBytes else {
      throw .archive(
        path: file.path,
        .tooLarge(member: member.name, bytes: member.byteCount, limit: Self.textBytes))
    }
    var bytes: [UInt8] = []
    try unfold(member) { piece throws(CheckpointError) in bytes.append(contentsOf: piece) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .archive(path: file.path, .unsupported(member: member.name, reason: "it is not UTF-8"))
    }
    return text
  }

  /// A deflated member as a file of its own, which has no name any more and goes when it is closed.
  func extracted(_ member: KerasArchiveMember) throws(CheckpointError) -> ReadOnlyFile {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let available = FileIO.availableBytes(inFolder: folder)
    guard member.byteCount <= available else {
      throw .diskFull(path: folder, neededBytes: member.byteCount, availableBytes: available)
    }
    var template = Array(FileIO.path(folder, "pith-keras-XXXXXX").utf8CString)
    let descriptor = mkstemp(&template)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: FileIO.lastError) }
    defer {
      close(descriptor)
      unlink(path)
    }
    try unfold(member) { piece throws(CheckpointError) in
      var done = 0
      while done < piece.count {
        let count = FileIO.retrying {
          write(descriptor, piece.baseAddress.map { $0 + done }, piece.count - done)
        }
        guard count > 0 else { throw .cannotWrite(path: path, reason: FileIO.lastError) }
        done += count
      }
    }
    return try ReadOnlyFile(path: path)
  }

  /// Hands out the member's bytes in pieces, then checks their number and checksum.
  private func unfold(
    _ member: KerasArchiveMember,
    _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    // Deflate reaches 1032 at best; what claims more is refused before it fills a disk.
    guard member.byteCount / HDF5Limits.largestRatio <= member.range.count else {
      throw .archive(
        path: file.path,
        .tooLarge(
          member: member.name, bytes: member.byteCount,
          limit: member.range.count * HDF5Limits.largestRatio))
    }
    var checksum = crc32(0, nil, 0)
    var count = 0
    func hand(_ piece: UnsafeRawBufferPointer) throws(CheckpointError) {
      count += piece.count
      guard count <= member.byteCount else { throw mismatch(member) }
      checksum = crc32(
        checksum, piece.assumingMemoryBound(to: UInt8.self).baseAddress, uInt(piece.count))
      try body(piece)
    }
    var inflater = member.isDeflated ? try KerasInflater(path: file.path, member: member.name) : nil
    defer { inflater?.end() }
    var position = member.range.lowerBound
    while position < member.range.upperBound {
      let end = min(member.range.upperBound, position + Self.pieceBytes)
      let piece = try file.bytes(position..<end)
      if inflater == nil {
        let result = piece.withUnsafeBytes { buffer in
          Result { () throws(CheckpointError) in try hand(buffer) }
        }
        try result.get()
      } else {
        try inflater?.inflate(piece, hand)
      }
      position = end
    }
    guard count == member.byteCount, checksum == uLong(member.checksum) else {
      throw mismatch(member)
    }
  }

  private func mismatch(_ member: KerasArchiveMember) -> CheckpointError {
    .archive(path: file.path, .checksumMismatch(member: member.name))
  }
}

/// zlib's inflate over raw deflate data.
struct KerasInflater {
  private let stream: UnsafeMutablePointer<z_stream>
  private let path: String
  private let member: String
  private var isFinished = false

  init(path: String, member: String) throws(CheckpointError) {
    self.path = path
    self.member = member
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // Negative window bits: no zlib header, as zip has it.
    guard
      inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else {
      stream.deallocate()
      throw .archive(path: path, .unsupported(member: member, reason: "zlib did not start"))
    }
  }

  func end() {
    inflateEnd(stream)
    stream.deallocate()
  }

  mutating func inflate(
    _ input: [UInt8], _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var input = input
    var output = [UInt8](repeating: 0, count: 1 << 18)
    let result = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        Result { () throws(CheckpointError) in
          stream.pointee.next_in = source.baseAddress
          stream.pointee.avail_in = uInt(source.count)
          while !isFinished {
            stream.pointee.next_out = target.baseAddress
            stream.pointee.avail_out = uInt(target.count)
            let status = CZlib.inflate(stream, Z_NO_FLUSH)
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
              throw CheckpointError.archive(path: path, .checksumMismatch(member: member))
            }
            let count = target.count - Int(stream.pointee.avail_out)
            if count > 0 {
              try body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: target[0..<count])))
            }
            isFinished = status == Z_STREAM_END
            if count < target.count { break }
          }
        }
      }
    }
    try result.get()
  }
}
