import Tensors

/// A checkpoint that Keras wrote: `.weights.h5`, a legacy whole model `.h5`, or a `.keras` archive.
///
/// Tensors keep the names that their datasets have in the file. Their descriptions say what Keras
/// knows of them, as attributes:
/// - `layout` = "outputs_last": the last axis is the layer's outputs, all others are its inputs
///   (dense kernels are in × out, convolutions kh × kw × in × out).
/// - `layout` = "output_axes", with `output_axes`: the axes that are outputs, the others are inputs.
/// - `role` = "embedding" (vocabulary × width) or "optimizer".
///
/// Tensors without `layout` are biases, norms, depthwise kernels, or not known.
public struct KerasSource: TensorSource {
  public let path: String
  public let format: String
  public let tensors: [TensorDescription]
  public let metadata: CheckpointMetadata
  /// The file's objects.
  public let file: HDF5File

  /// What the file links to that is no tensor, and why.
  public var skipped: [SkippedObject] { file.skipped }

  /// Whether an HDF5 file has the groups or the attributes that Keras writes.
  public static func recognizes(_ file: HDF5File) -> Bool {
    let root = file.root
    return root.attributes["keras_version"] != nil || root.attributes["layer_names"] != nil
      || root.group("model_weights") != nil
      || root.group("_layer_checkpoint_dependencies") != nil
      || (root.group("vars") != nil && root.children.allSatisfy { $0.group != nil })
  }

  /// Opens an archive or a file.
  ///
  /// - Throws: `CheckpointError`, `.archive` or `.hdf5` where the file is to blame.
  public init(path: String, limits: HDF5Limits = HDF5Limits()) throws(CheckpointError) {
    let file = try ReadOnlyFile(path: path)
    let head = try file.bytes(0..<min(file.size, 256))
    if FileSignature(head: head) == .zip {
      try self.init(archive: KerasArchive(file: file), limits: limits)
    } else {
      try self.init(file: HDF5File(path: path, limits: limits))
    }
  }

  /// A file that is open already.
  ///
  /// - Throws: `CheckpointError.opening` when a sibling config.json is not text.
  public init(file: HDF5File) throws(CheckpointError) {
    let isWholeModel = file.root.group("model_weights") != nil
    self.init(
      file: file, path: file.path, format: isWholeModel ? "Keras HDF5" : "Keras weights",
      metadata: try HDF5Metadata.gather(root: file.root, path: file.path))
  }

  private init(archive: KerasArchive, limits: HDF5Limits) throws(CheckpointError) {
    var metadata = CheckpointMetadata()
    metadata.configuration = try archive.text(archive.member("config.json"))
    if let member = try? archive.member("metadata.json") {
      metadata.strings["keras_metadata"] = try archive.text(member)
    }
    let weights = try archive.member("model.weights.h5")
    let path = archive.file.path
    let input =
      if weights.isDeflated {
        HDF5Range(unfolded: try archive.extracted(weights), from: path, limits: limits)
      } else {
        HDF5Range(file: archive.file, range: weights.range, limits: limits)
      }
    self.init(
      file: try HDF5File(input), path: path, format: "Keras archive", metadata: metadata)
  }

  private init(file: HDF5File, path: String, format: String, metadata: CheckpointMetadata) {
    self.file = file
    self.path = path
    self.format = format
    self.metadata = metadata
    let layers = KerasLayers(configuration: metadata.configuration)
    tensors = file.tensors.map { KerasNaming.described($0, layers, root: file.root) }
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
