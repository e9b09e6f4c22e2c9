import CHDF5

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A part of a file that holds an HDF5 file: all of it, or a member of an archive.
struct HDF5Range: Sendable {
  let file: ReadOnlyFile
  let range: Range<Int>
  let limits: HDF5Limits
  /// What messages call the file: the archive's name, where `file` is a temporary one.
  let path: String
  /// Whether `file` has a name under which others can open it.
  let isNamed: Bool

  /// A whole file, or a stored member of an archive.
  init(file: ReadOnlyFile, range: Range<Int>? = nil, limits: HDF5Limits) {
    self.file = file
    self.range = range ?? 0..<file.size
    self.limits = limits
    path = file.path
    isNamed = true
  }

  /// A member of an archive that was unfolded to a temporary file.
  init(unfolded file: ReadOnlyFile, from path: String, limits: HDF5Limits) {
    self.file = file
    range = 0..<file.size
    self.limits = limits
    self.path = path
    isNamed = false
  }
}

/// The child process in which libhdf5 reads a file that nobody vouches for.
enum HDF5ChildProcess {
  /// Starts a child, and gathers what it sends until it ends.
  ///
  /// - Parameter start: forks the child and returns its process identifier.
  /// - Throws: `.hdf5` with `.crashesLibrary`, `.takesTooLong`, `.takesTooMuchMemory` or
  ///   `.cannotStartReader`.
  static func run(
    _ input: HDF5Range, start: (pith_child_job) -> pid_t
  ) throws(CheckpointError) -> [UInt8] {
    let path = input.path
    // The child maps the file: what was cut off since would be a crash there.
    guard input.file.isUnchanged else { throw .changedWhileOpen(path: path) }
    let (child, output) = try HDF5Library.exclusively { () throws(CheckpointError) in
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else {
        throw CheckpointError.hdf5(path: path, .cannotStartReader(reason: FileIO.lastError))
      }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      let child = start(
        pith_child_job(
          file: input.file.descriptor, offset: UInt64(input.range.lowerBound),
          length: UInt64(input.range.count), output: ends[1], seconds: input.limits.seconds,
          memory_bytes: UInt64(input.limits.memoryBytes)))
      let reason = FileIO.lastError
      // Closed under the lock: another child must not inherit it and hold the pipe open.
      close(ends[1])
      guard child > 0 else {
        close(ends[0])
        throw CheckpointError.hdf5(path: path, .cannotStartReader(reason: reason))
      }
      return (child, ends[0])
    }
    let bytes = gather(from: output)
    close(output)
    var status: Int32 = 0
    _ = FileIO.retrying { waitpid(child, &status, 0) }
    try check(status, path: path, limits: input.limits)
    return bytes
  }

  /// Reads the pipe to its end; the child's own alarm bounds the time.
  private static func gather(from output: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      var count = 0
      withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
        count = FileIO.retrying { read(output, buffer.baseAddress, buffer.count) }
        if count > 0 { bytes.append(contentsOf: buffer[0..<count]) }
      }
      if count <= 0 { return bytes }
    }
  }

  private static func check(
    _ status: Int32, path: String, limits: HDF5Limits
  ) throws(CheckpointError) {
    let signal = status & 0x7F
    let code = status >> 8 & 0xFF
    if signal == SIGALRM { throw .hdf5(path: path, .takesTooLong(seconds: limits.seconds)) }
    if signal == SIGKILL { throw .hdf5(path: path, .takesTooMuchMemory) }
    if signal != 0 { throw .hdf5(path: path, .crashesLibrary(signal: signal)) }
    if code == 3 { throw .hdf5(path: path, .takesTooMuchMemory) }
  }
}
