import Checkpoints
import Digests

/// What identifies a file that a run read.
enum FileHash {
  /// SHA-256 of a file, or of the files of a model's folder in order of their names.
  ///
  /// - Throws: `CheckpointError` when one cannot be read.
  static func sha256(of path: String) throws(CheckpointError) -> String {
    var hash = SHA256()
    let paths =
      FileIO.kind(of: path) == .folder
      ? try FileIO.names(inFolder: path).map { FileIO.path(path, $0) }
        .filter { FileIO.kind(of: $0) == .file }
      : [path]
    let step = 4 << 20
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: step, alignment: 64)
    defer { buffer.deallocate() }
    for path in paths {
      let file = try ReadOnlyFile(path: path)
      for place in stride(from: 0, to: file.size, by: step) {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: buffer[0..<min(step, file.size - place)])
        try file.read(at: place, into: piece)
        hash.update(UnsafeRawBufferPointer(piece))
      }
    }
    return hash.hexadecimal()
  }
}
