#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Small pieces of POSIX that every container's reader and writer shares.
public enum FileIO {
  /// What a path leads to, symbolic links followed.
  public enum Kind: Sendable { case missing, file, folder, other }

  /// What a path leads to, symbolic links followed.
  public static func kind(of path: String) -> Kind {
    var status = stat()
    guard stat(path, &status) == 0 else { return .missing }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// The names in a folder, sorted by their UTF-8 bytes, without "." and "..".
  public static func names(inFolder path: String) throws(CheckpointError) -> [String] {
    guard let directory = opendir(path) else {
      throw .cannotOpen(path: path, reason: lastError)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// A path inside a folder.
  public static func path(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// The part of a path before its last component: "." for a bare name.
  public static func folder(of path: String) -> String {
    let trimmed = withoutTrailingSlashes(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  /// A path's last component.
  public static func name(of path: String) -> String {
    let trimmed = withoutTrailingSlashes(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return trimmed }
    return String(trimmed[trimmed.index(after: slash)...])
  }

  private static func withoutTrailingSlashes(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// Makes a folder unless there is one already.
  public static func makeFolder(_ path: String) throws(CheckpointError) {
    if mkdir(path, 0o777) != 0, errno != EEXIST {
      throw .cannotWrite(path: path, reason: lastError)
    }
    guard kind(of: path) == .folder else {
      throw .cannotWrite(path: path, reason: "a file of this name is in the way")
    }
  }

  /// Renames a file or a folder; an empty folder or a file at the target is replaced.
  static func rename(_ path: String, to target: String) throws(CheckpointError) {
    #if canImport(Darwin)
    let result = Darwin.rename(path, target)
    #elseif canImport(Glibc)
    let result = Glibc.rename(path, target)
    #else
    let result = Musl.rename(path, target)
    #endif
    guard result == 0 else { throw .cannotWrite(path: target, reason: lastError) }
  }

  /// Copies a file's bytes, moved into place when they are complete.
  static func copy(_ path: String, to target: String) throws(CheckpointError) {
    let source = try ReadOnlyFile(path: path)
    let file = try ReplacementFile(target: target)
    for begin in stride(from: 0, to: source.size, by: 8 << 20) {
      try file.write(
        try source.bytes(begin..<min(begin + (8 << 20), source.size)), at: begin)
    }
    try file.commit()
  }

  /// Flushes a folder's entries, so that a rename in it survives a loss of power.
  static func synchronizeFolder(_ path: String) throws(CheckpointError) {
    let descriptor = retrying { open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: lastError) }
    defer { close(descriptor) }
    // Some file systems cannot flush a folder and say EINVAL: the rename itself has happened.
    if retrying({ fsync(descriptor) }) != 0, errno != EINVAL, errno != ENOTSUP {
      throw .cannotWrite(path: path, reason: lastError)
    }
  }

  /// The bytes that an unprivileged user can still write to the disk that holds a folder.
  public static func availableBytes(inFolder path: String) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return 0 }
    return Int(
      clamping: UInt64(status.f_bavail).multipliedReportingOverflow(
        by: UInt64(status.f_frsize)
      ).partialValue)
  }

  /// What the system says of the call that failed last on this thread.
  static var lastError: String { String(cString: strerror(errno)) }

  /// Repeats a system call while signals interrupt it.
  static func retrying<Result: FixedWidthInteger>(_ call: () -> Result) -> Result {
    while true {
      let result = call()
      if result != -1 || errno != EINTR { return result }
    }
  }

  /// The most bytes that one call moves: macOS refuses 2 GiB and more.
  static let bytesPerCall = 1 << 30
}
