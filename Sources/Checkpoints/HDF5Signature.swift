import Tensors

/// What a file that is not HDF5 seems to be, by its first bytes.
public enum FileSignature: Sendable, Hashable, CaseIterable {
  case safetensors, zip, pyTorch, pickle, gguf, numPy, gzip, gitLFSPointer, json, webPage

  /// What it is called, and what to do with it.
  public var description: String {
    switch self {
    case .safetensors: "safetensors; name it with the ending .safetensors"
    case .zip: "a zip archive; a Keras archive must have the ending .keras"
    case .pyTorch, .pickle:
      "a PyTorch pickle (.bin, .pt, .pth), which can run code when it is read and is refused; "
        + "save the model as safetensors or HDF5"
    case .gguf: "GGUF; name it with the ending .gguf"
    case .numPy: "a NumPy array; write the arrays to HDF5 or safetensors"
    case .gzip: "a gzip file; unpack it first"
    case .gitLFSPointer: "a Git LFS pointer, not the model itself; run 'git lfs pull' in its folder"
    case .json: "a JSON text; name the model's weights or its folder"
    case .webPage: "a web page; the download failed, fetch it again"
    }
  }

  /// The format that the first bytes of a file belong to.
  ///
  /// - Parameter head: some hundred bytes from the beginning, or all there are.
  public init?(head: [UInt8]) {
    func starts(_ text: String) -> Bool { head.starts(with: Array(text.utf8)) }
    let text = String(decoding: head.prefix(256), as: UTF8.self)
    if starts("GGUF") {
      self = .gguf
    } else if starts("PK\u{3}\u{4}") {
      // torch.save puts data.pkl first; its name stands in the first local header.
      self = text.contains("data.pkl") ? .pyTorch : .zip
    } else if starts("version https://git-lfs") {
      self = .gitLFSPointer
    } else if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) {
      self = .pickle
    } else if head.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) {
      self = .numPy
    } else if head.starts(with: [0x1F, 0x8B]) {
      self = .gzip
    } else if head.count > 9, head[8] == UInt8(ascii: "{"), head[5...7].allSatisfy({ $0 == 0 }) {
      self = .safetensors
    } else if starts("<!") || starts("<html") {
      self = .webPage
    } else if starts("{") || starts("[") {
      self = .json
    } else {
      return nil
    }
  }
}

/// The signature that begins an HDF5 file, at byte 0 or after a user block.
enum HDF5Signature {
  static let bytes: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Makes sure that a file, or a part of one, holds an HDF5 file.
  ///
  /// - Throws: `.hdf5(_, .empty)` or `.hdf5(_, .notHDF5)`.
  static func check(_ input: HDF5Range) throws(CheckpointError) {
    let (file, range) = (input.file, input.range)
    guard !range.isEmpty else { throw .hdf5(path: input.path, .empty) }
    // A user block's size is 0 or a power of two from 512 up.
    var offset = 0
    while offset + bytes.count <= range.count {
      let start = range.lowerBound + offset
      if try file.bytes(start..<start + bytes.count) == bytes { return }
      offset = offset == 0 ? 512 : offset * 2
    }
    let head = try file.bytes(
      range.lowerBound..<min(range.upperBound, range.lowerBound + 256))
    throw .hdf5(path: input.path, .notHDF5(looksLike: FileSignature(head: head)))
  }
}
