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
  public var skipped: [SkippedObject] { file.skipped }

  /// Opens and validates a file.
  ///
  /// - Throws: `CheckpointError`, `.hdf5` where the file is to blame.
  public init(path: String, limits: HDF5Limits = HDF5Limits()) throws(CheckpointError) {
    try self.init(file: try HDF5File(path: path, limits: limits))
  }

  /// A file that is open already.
  ///
  /// - Throws: `CheckpointError.opening` when a sibling config.json is not text.
  public init(file: HDF5File) throws(CheckpointError) {
    self.file = file
    metadata = try HDF5Metadata.gather(root: file.root, path: file.path)
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
  /// The root's texts; the configuration from an attribute `config.json` (as `pith convert` writes
  /// it), `config` or `model_config`, else from a sibling config.json; the sibling files of a
  /// folder that has one.
  ///
  /// A configuration in the file stands over a sibling: the file may be another model than the one
  /// that the folder was made for.
  static func gather(root: HDF5Group, path: String) throws(CheckpointError) -> CheckpointMetadata {
    var metadata = CheckpointMetadata()
    for (name, value) in root.attributes {
      if case .string(let text) = value { metadata.strings[name] = text }
    }
    try metadata.findCompanions(besideFile: path)
    let keys = ["config.json", "config", "model_config"]
    if let own = keys.lazy.compactMap({ metadata.strings[$0] }).first {
      metadata.companions["config.json"] = nil
      metadata.configuration = own
    }
    return metadata
  }
}
