import Digests
import Foundation

/// A file being written that will count only once the journal names it.
///
/// Not shared between threads: one job writes one part.
final class PartFile {
  let path: String
  private let descriptor: Int32
  private(set) var end = 0

  init(path: String) throws(PipelineError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw PartFile.failure(path) }
    self.path = path
  }

  deinit { close(descriptor) }

  /// Sets aside room for a payload, aligned as it will be in the artefact.
  func reserve(_ bytes: Int) -> Int {
    let offset = (end + 63) / 64 * 64
    end = offset + bytes
    return offset
  }

  /// Writes bytes at an offset of the file.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PipelineError) {
    var done = 0
    while done < bytes.count {
      guard let base = bytes.baseAddress else { return }
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw PartFile.failure(path)
      }
      done += count
    }
  }

  /// Flushes what was written to the disk.
  func synchronize() throws(PipelineError) {
    guard fsync(descriptor) == 0 else { throw PartFile.failure(path) }
  }

  /// The last system call's failure: no room (a full disk, a quota, a limit on a file's size) is
  /// told apart, as a run can go on after it.
  static func failure(_ path: String) -> PipelineError {
    let code = errno
    let text = String(cString: strerror(code))
    let isFull = code == ENOSPC || code == EDQUOT || code == EFBIG
    return isFull ? .diskFull(path: path, reason: text) : .file(path: path, reason: text)
  }
}

/// One payload of a part, filled from its beginning to its end and hashed on the way.
final class PartPayload {
  let offset: Int
  let byteCount: Int
  private let file: PartFile
  private var written = 0
  private var hash: SHA256?

  init(in file: PartFile, byteCount: Int, hashing: Bool) {
    self.file = file
    self.byteCount = byteCount
    offset = file.reserve(byteCount)
    hash = hashing ? SHA256() : nil
  }

  /// Adds the next bytes.
  func append(_ bytes: UnsafeRawBufferPointer) throws(PipelineError) {
    precondition(written + bytes.count <= byteCount, "a payload outgrew its reservation")
    hash?.update(bytes)
    try file.write(bytes, at: offset + written)
    written += bytes.count
  }

  /// The hash of the complete payload, nil when hashing is off.
  func finish() -> String? {
    precondition(written == byteCount, "payload of \(byteCount) bytes has \(written)")
    return hash.take()?.hexadecimal()
  }
}
