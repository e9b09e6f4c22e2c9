import Tensors

/// A model's folder as Hugging Face lays it out: weights in one file or in shards, and companions.
///
/// Weights are looked for in this order: model.safetensors, model.safetensors.index.json with its
/// shards, model.h5; then whatever single file of one of these kinds the folder holds.
public struct ModelFolder: TensorSource {
  public let path: String
  public let metadata: CheckpointMetadata
  private let weights: any TensorSource

  public var format: String { weights.format }
  public var tensors: [TensorDescription] { weights.tensors }
  public var skipped: [SkippedObject] { weights.skipped }

  /// Opens the weights that a folder holds.
  ///
  /// - Throws: `CheckpointError`: when there are none, when there are several files to choose from,
  ///   or what is wrong with the weights.
  public init(path: String) throws(CheckpointError) {
    let file = FileIO.path(path, try Self.weightsFile(inFolder: path))
    let weights =
      file.hasSuffix(ShardedSafetensors.indexSuffix)
      ? try ShardedSafetensors(index: file) as any TensorSource : try CheckpointOpener.open(file)
    var metadata = weights.metadata
    try metadata.findCompanions(inFolder: path)
    self.path = path
    self.weights = weights
    self.metadata = metadata
  }

  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try weights.read(tensor, rows: rows, into: target)
  }

  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    try weights.mapped(tensor)
  }

  /// The name of the file, in a folder, that stands for the model's weights.
  static func weightsFile(inFolder folder: String) throws(CheckpointError) -> String {
    let names = try FileIO.names(inFolder: folder)
    let usual = ["model.safetensors", "model" + ShardedSafetensors.indexSuffix, "model.h5"]
    if let name = usual.first(where: names.contains) { return name }
    let groups: [[String]] = [
      names.filter { $0.hasSuffix(ShardedSafetensors.indexSuffix) },
      names.filter { $0.hasSuffix(".safetensors") },
      names.filter { $0.hasSuffix(".h5") || $0.hasSuffix(".hdf5") },
      names.filter { $0.hasSuffix(".keras") },
    ]
    for group in groups {
      if group.count > 1 { throw .opening(path: folder, .severalModels(files: group)) }
      if let name = group.first { return name }
    }
    let pickles = names.filter {
      $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth") || $0.hasSuffix(".ckpt")
    }
    guard pickles.isEmpty else { throw .opening(path: folder, .onlyPyTorch(files: pickles)) }
    throw .opening(path: folder, .noModel)
  }
}
