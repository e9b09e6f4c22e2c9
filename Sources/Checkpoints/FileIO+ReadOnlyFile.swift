import Tensors

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file open for reading at any offset, from any thread.
public final class ReadOnlyFile: Sendable {
  /// The path, as it was given.
  public let path: String
  /// The bytes that the file had when it was opened.
  public let size: Int
  let descriptor: Int32

  /// Opens a regular file.
  ///
  /// - Throws: `CheckpointError.missing`, `.notAFile` or `.cannotOpen`.
  public init(path: String) throws(CheckpointError) {
    // Without O_NONBLOCK a pipe given as a model would block here for ever.
    let descriptor = FileIO.retrying { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else {
      if errno == ENOENT { throw .missing(path: path) }
      throw .cannotOpen(path: path, reason: FileIO.lastError)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let reason = FileIO.lastError
      close(descriptor)
      throw .cannotOpen(path: path, reason: reason)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .notAFile(path: path)
    }
    self.path = path
    self.size = Int(status.st_size)
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Whether the file has the size that it had when it was opened.
  var isUnchanged: Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && Int(status.st_size) == size
  }

  /// Fills the target with the bytes at an offset.
  ///
  /// - Throws: `CheckpointError.endsEarly` or `.cannotRead`.
  public func read(
    at offset: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    guard offset >= 0, target.count <= size - offset else {
      throw .endsEarly(path: path, offset: offset, wanted: target.count, size: size)
    }
    guard let start = target.baseAddress else { return }
    var done = 0
    while done < target.count {
      let count = FileIO.retrying {
        pread(
          descriptor, start + done, min(target.count - done, FileIO.bytesPerCall),
          off_t(offset + done))
      }
      if count < 0 {
        throw .cannotRead(path: path, offset: offset + done, reason: FileIO.lastError)
      }
      if count == 0 { throw .changedWhileOpen(path: path) }
      done += count
    }
  }

  /// The bytes at a range as an array: for headers, not for tensors.
  public func bytes(_ range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= size else {
      throw .endsEarly(path: path, offset: range.lowerBound, wanted: range.count, size: size)
    }
    var bytes = [UInt8](repeating: 0, count: range.count)
    let result = bytes.withUnsafeMutableBytes { target in
      Result { () throws(CheckpointError) in try read(at: range.lowerBound, into: target) }
    }
    try result.get()
    return bytes
  }

  /// The bytes at a range by memory mapping; the mapping goes when the `Bytes` object does.
  ///
  /// The range need not begin at a page. A file that another program cuts short while it is mapped
  /// ends this process with SIGBUS, as it does for every program that maps files.
  ///
  /// - Throws: `CheckpointError.endsEarly`, `.changedWhileOpen` or `.cannotMap`.
  public func map(_ range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard range.lowerBound >= 0, range.upperBound <= size else {
      throw .endsEarly(path: path, offset: range.lowerBound, wanted: range.count, size: size)
    }
    guard !range.isEmpty else { return Bytes([UInt8]()) }
    guard isUnchanged else { throw .changedWhileOpen(path: path) }
    let lead = range.lowerBound % Int(getpagesize())
    let length = range.count + lead
    guard
      let memory = mmap(
        nil, length, PROT_READ, MAP_SHARED, descriptor, off_t(range.lowerBound - lead)),
      memory != MAP_FAILED
    else { throw .cannotMap(path: path, reason: FileIO.lastError) }
    return Bytes(
      borrowing: UnsafeRawBufferPointer(start: memory + lead, count: range.count),
      reader: { try self.read(at: range.lowerBound + $0, into: $1) },
      release: { munmap(memory, length) })
  }
}
