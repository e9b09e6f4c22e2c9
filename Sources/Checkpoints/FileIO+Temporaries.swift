#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files and folders that are made beside their target and renamed over it.
///
/// Their hidden names, `.TARGET.HOST-PID-MARK.partial`, say who writes them, so that what a killed
/// process left is known as such and removed by the next that writes the same target.
extension FileIO {
  /// A hidden name in the same folder, not used by anything else; what processes that were killed
  /// left of the same target is removed.
  static func temporaryPath(beside target: String) -> String {
    removeAbandoned(besides: target)
    let mark = String(UInt32.random(in: .min ... .max), radix: 16)
    return path(folder(of: target), temporaryPrefix(of: target) + "\(getpid())-\(mark)" + ending)
  }

  /// Removes temporaries of a target whose writer, on this machine, lives no more.
  ///
  /// A folder shared over a network may hold those of another machine: they stay, as nobody here
  /// can say whether their writer lives. Failing to remove one is no error, it is only in the way.
  private static func removeAbandoned(besides target: String) {
    let parent = folder(of: target)
    let prefix = temporaryPrefix(of: target)
    for name in (try? names(inFolder: parent)) ?? [] {
      guard name.hasPrefix(prefix), name.hasSuffix(ending),
        let process = Int32(name.dropFirst(prefix.count).prefix { $0 != "-" }), process > 0,
        kill(process, 0) != 0, errno == ESRCH
      else { continue }
      let left = path(parent, name)
      if kind(of: left) == .folder { removeFolder(left) } else { unlink(left) }
    }
  }

  /// Removes a folder and the files in it, as far as that is possible.
  static func removeFolder(_ folder: String) {
    for name in (try? names(inFolder: folder)) ?? [] { unlink(path(folder, name)) }
    rmdir(folder)
  }

  private static let ending = ".partial"

  private static func temporaryPrefix(of target: String) -> String {
    // 170 bytes of the name: with what is added it must stay below the usual limit of 255.
    let stem = String(decoding: name(of: target).utf8.prefix(170), as: UTF8.self)
    return ".\(stem).\(host)-"
  }

  /// The machine's name, as far as it can be part of a file's name.
  private static let host: String = {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
    let name = String(
      decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return String(name.prefix(40).map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }()
}
