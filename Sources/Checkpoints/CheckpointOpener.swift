import Tensors

/// Opens whatever holds a model: decided by what is in it, not by what it is called.
public enum CheckpointOpener {
  /// Opens a file or a folder.
  ///
  /// - Throws: `CheckpointError`: a case of its own, with advice, for each thing that people give
  ///   in a model's place: a PyTorch pickle, a Git LFS pointer, an empty file or folder.
  public static func open(_ path: String) throws(CheckpointError) -> any TensorSource {
    switch FileIO.kind(of: path) {
    case .missing: throw .missing(path: path)
    case .other: throw .notAFile(path: path)
    case .folder: return try ModelFolder(path: path)
    case .file: break
    }
    switch try content(of: path) {
    case .hdf5, .keras: return try HDF5Checkpoint.open(path: path)
    case .safetensors: return try SafetensorsSource(path: path)
    case .shardIndex: return try ShardedSafetensors(index: path)
    case .empty: throw .opening(path: path, .empty)
    case .gguf: return try GGUFCheckpoint(path: path)
    case .pyTorch: throw .opening(path: path, .pyTorch)
    case .zip: throw .opening(path: path, .unknownArchive)
    case .gitLFSPointer(let size): throw .opening(path: path, .gitLFSPointer(size: size))
    case .unknown(let beginning): throw .opening(path: path, .unknownFormat(beginning: beginning))
    }
  }

  /// What a file's bytes say that it is.
  enum Content: Equatable {
    case hdf5, keras, safetensors, shardIndex, empty, gguf, pyTorch, zip
    case gitLFSPointer(size: Int?)
    case unknown(beginning: String)
  }

  /// Looks at a file's first and last bytes.
  static func content(of path: String) throws(CheckpointError) -> Content {
    let file = try ReadOnlyFile(path: path)
    guard file.size > 0 else { return .empty }
    let head = try file.bytes(0..<min(file.size, 4096))
    if try hasHDF5Signature(file) { return .hdf5 }
    // A header length of less than 4 GiB, then '{'. It comes before the others, whose magic
    // numbers are possible lengths.
    if head.count > 8, head[4..<8].allSatisfy({ $0 == 0 }), head[8] == UInt8(ascii: "{") {
      return .safetensors
    }
    if head.starts(with: Array("GGUF".utf8)) { return .gguf }
    if head.starts(with: [0x50, 0x4B, 3, 4]) { return try archive(file, head: head) }
    // PyTorch's files of before 2020: a bare pickle of protocol 2 to 5.
    if head.count > 2, head[0] == 0x80, (2...5).contains(head[1]) { return .pyTorch }
    if head.starts(with: Array("version https://git-lfs".utf8)) { return lfsPointer(head) }
    if path.hasSuffix(ShardedSafetensors.indexSuffix) { return .shardIndex }
    // The name only chooses which message a damaged file gets.
    if path.hasSuffix(".safetensors") { return .safetensors }
    return .unknown(beginning: shown(head))
  }

  /// HDF5 allows a user block before its signature: of 512 bytes or a power of two times that.
  private static func hasHDF5Signature(_ file: ReadOnlyFile) throws(CheckpointError) -> Bool {
    let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    var offset = 0
    while offset <= file.size - signature.count {
      if try file.bytes(offset..<offset + signature.count) == signature { return true }
      offset = offset == 0 ? 512 : offset * 2
    }
    return false
  }

  /// Tells zip archives apart by names in the first entry and in the directory at the end.
  private static func archive(
    _ file: ReadOnlyFile, head: [UInt8]
  ) throws(CheckpointError) -> Content {
    let tail = try file.bytes(max(0, file.size - (64 << 10))..<file.size)
    func holds(_ name: String) -> Bool {
      let name = Array(name.utf8)
      return contains(head, name) || contains(tail, name)
    }
    if holds("model.weights.h5") { return .keras }
    return holds("data.pkl") || holds("constants.pkl") ? .pyTorch : .zip
  }

  private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    guard bytes.count >= part.count else { return false }
    return (0...bytes.count - part.count).contains { bytes[$0...].starts(with: part) }
  }

  private static func lfsPointer(_ head: [UInt8]) -> Content {
    let line = String(decoding: head, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("size ") }
    return .gitLFSPointer(size: line.flatMap { Int($0.dropFirst(5)) })
  }

  private static func shown(_ head: [UInt8]) -> String {
    let head = head.prefix(8)
    if head.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
      return "'" + String(decoding: head, as: UTF8.self) + "'"
    }
    return "bytes "
      + head.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }
}
