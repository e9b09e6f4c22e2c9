import Tensors

/// A checkpoint in an HDF5 file.
public struct HDF5Source: TensorSource {
  /// The file's objects, where the flat list of tensors is not enough.
  public let file: HDF5File
  public let metadata: CheckpointMetadata

  public var path: String { file.path }
  public var format: String { "HDF5" }
  public var tensors: [TensorDescription] { file.tensors }
  /// What the file links to that is no tensor, and why.
  public var skipped: [HDF5SkippedObject] { file.skipped }

  /// Opens and validates a file.
  ///
  /// - Throws: `CheckpointError`, `.hdf5` where the file is to blame.
  public init(path: String, limits: HDF5Limits = HDF5Limits()) throws(CheckpointError) {
    self.init(file: try HDF5File(path: path, limits: limits))
  }

  /// A file that is open already.
  public init(file: HDF5File) {
    self.file = file
    metadata = HDF5Metadata.gather(root: file.root, path: file.path)
  }

  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try file.read(tensor, rows: rows, into: target)
  }

  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    try file.mapped(tensor)
  }
}

/// Texts and files that come with an HDF5 file's tensors.
enum HDF5Metadata {
  /// Files that a model's folder carries beside its weights.
  static let companionNames = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "chat_template.jinja", "chat_template.json", "preprocessor_config.json",
  ]

  /// A configuration larger than this is none.
  private static let configurationBytes = 16 << 20

  /// The root's texts; the configuration from an attribute `config` or `model_config`, else from a
  /// sibling config.json; the sibling files of a folder that has one.
  static func gather(root: HDF5Group, path: String) -> CheckpointMetadata {
    var metadata = CheckpointMetadata()
    for (name, value) in root.attributes {
      if case .string(let text) = value { metadata.strings[name] = text }
    }
    metadata.configuration = metadata.strings["config"] ?? metadata.strings["model_config"]
    let folder = FileIO.folder(of: path)
    guard FileIO.kind(of: FileIO.path(folder, "config.json")) == .file else { return metadata }
    for name in companionNames {
      let sibling = FileIO.path(folder, name)
      if FileIO.kind(of: sibling) == .file { metadata.companions[name] = sibling }
    }
    if metadata.configuration == nil, let sibling = metadata.companions["config.json"] {
      metadata.configuration = text(of: sibling)
    }
    return metadata
  }

  private static func text(of path: String) -> String? {
    guard let file = try? ReadOnlyFile(path: path), file.size <= configurationBytes,
      let bytes = try? file.bytes(0..<file.size)
    else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}
