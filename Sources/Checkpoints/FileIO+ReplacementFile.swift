import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file written beside its target and renamed over it when it is complete.
///
/// Until `commit` the target's old content is untouched; an object that is dropped without it
/// removes what it wrote. Writing to different ranges is safe from several threads at once.
public final class ReplacementFile: Sendable {
  /// The path that `commit` gives the file; a symbolic link was followed to the file it names.
  public let target: String
  /// Where the bytes are until then: in the target's folder, so that the rename is atomic.
  ///
  /// Another library may write to this path before `commit`.
  public let temporaryPath: String
  private let descriptor: Int32
  private let isCommitted = Atomic(false)

  /// Makes an empty temporary.
  ///
  /// - Parameters:
  ///   - target: the file to make or replace.
  ///   - path: where the bytes are until then, on the target's file system; what a killed run left
  ///     there is replaced. Without it, a new name beside the target.
  /// - Throws: `CheckpointError.cannotWrite` when the folder is missing or may not be written to,
  ///   or when the target is a folder.
  public init(target: String, temporaryPath path: String? = nil) throws(CheckpointError) {
    let target = Self.followingLinks(target)
    if FileIO.kind(of: target) == .folder {
      throw .cannotWrite(path: target, reason: "a folder of this name is in the way")
    }
    let folder = FileIO.folder(of: target)
    guard FileIO.kind(of: folder) == .folder else {
      throw .cannotWrite(
        path: target, reason: "the folder '\(folder)' does not exist; make it first")
    }
    self.target = target
    if let path { unlink(path) }
    let path = path ?? FileIO.temporaryPath(beside: target)
    temporaryPath = path
    descriptor = FileIO.retrying { open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) }
    guard descriptor >= 0 else {
      // A deinit does not run for an object whose init throws: nothing is removed here.
      throw .cannotWrite(path: target, reason: FileIO.lastError)
    }
  }

  deinit {
    close(descriptor)
    if !isCommitted.load(ordering: .acquiring) { unlink(temporaryPath) }
  }

  /// Sets the file's size and, where the file system can, its blocks, so that a full disk is found
  /// before the work and not after it.
  public func reserve(bytes: Int) throws(CheckpointError) {
    #if os(Linux)
    if bytes > 0 {
      // It returns the error's number instead of setting errno.
      var problem = EINTR
      while problem == EINTR { problem = posix_fallocate(descriptor, 0, off_t(bytes)) }
      errno = problem
      // Some file systems cannot promise blocks: then writing finds out.
      if problem != 0, problem != EOPNOTSUPP, problem != EINVAL, problem != ENOSYS {
        throw failure(needing: bytes)
      }
    }
    #else
    let available = FileIO.availableBytes(inFolder: FileIO.folder(of: target))
    guard bytes <= available else {
      throw .diskFull(path: target, neededBytes: bytes, availableBytes: available)
    }
    #endif
    guard FileIO.retrying({ ftruncate(descriptor, off_t(bytes)) }) == 0 else {
      throw failure(needing: bytes)
    }
  }

  /// Writes bytes at an offset.
  ///
  /// - Throws: `CheckpointError.diskFull` or `.cannotWrite`.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    guard let start = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = FileIO.retrying {
        pwrite(
          descriptor, start + done, min(bytes.count - done, FileIO.bytesPerCall),
          off_t(offset + done))
      }
      guard count > 0 else { throw failure(needing: bytes.count - done) }
      done += count
    }
  }

  /// Writes an array's bytes at an offset.
  public func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    let result = bytes.withUnsafeBytes { source in
      Result { () throws(CheckpointError) in try write(source, at: offset) }
    }
    try result.get()
  }

  /// Moves the file over its target, after flushing it and before flushing the folder.
  ///
  /// - Parameter durably: whether to wait for the disk; without it a loss of power can lose the
  ///   file, a crash of the program cannot.
  public func commit(durably: Bool = true) throws(CheckpointError) {
    if durably, FileIO.retrying({ fsync(descriptor) }) != 0 { throw failure(needing: 0) }
    try FileIO.rename(temporaryPath, to: target)
    isCommitted.store(true, ordering: .releasing)
    if durably { try FileIO.synchronizeFolder(FileIO.folder(of: target)) }
  }

  /// Writes a whole small file and moves it into place.
  public static func write(_ bytes: [UInt8], to target: String) throws(CheckpointError) {
    let file = try ReplacementFile(target: target)
    try file.write(bytes, at: 0)
    try file.commit()
  }

  private func failure(needing bytes: Int) -> CheckpointError {
    if errno == ENOSPC || errno == EDQUOT || errno == EFBIG {
      return .diskFull(
        path: target, neededBytes: bytes,
        availableBytes: FileIO.availableBytes(inFolder: FileIO.folder(of: target)))
    }
    return .cannotWrite(path: target, reason: FileIO.lastError)
  }

  /// A rename over a symbolic link would replace the link; what is meant is the file it names.
  private static func followingLinks(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
