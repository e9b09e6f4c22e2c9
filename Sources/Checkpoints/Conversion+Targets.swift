import Tensors

/// What a path asks a conversion to write.
public enum ConversionTarget: Sendable, Hashable {
  case hdf5, safetensors, folder

  /// By the ending: .h5 and .hdf5, .safetensors; anything else is a model's folder.
  ///
  /// - Throws: `CheckpointError.output(_, .formatNotWritten)` for the endings of formats that are
  ///   not written: a folder called model.gguf is not what was meant.
  public init(path: String) throws(CheckpointError) {
    let name = FileIO.name(of: path)
    let ending = name.lastIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? ""
    switch ending.lowercased() {
    case "h5", "hdf5": self = .hdf5
    case "safetensors": self = .safetensors
    case "keras", "gguf", "bin", "pt", "pth", "ckpt", "onnx", "npz", "npy", "pkl", "zip", "json":
      throw .output(path: path, .formatNotWritten(ending: ending))
    default: self = .folder
    }
  }
}

extension CheckpointConversion {
  /// Converts a file or a folder to what the target's name asks for.
  ///
  /// A folder gets safetensors, sharded, with the companions as files. An HDF5 file carries the
  /// companions' texts as root attributes under their file names.
  ///
  /// - Parameters:
  ///   - source: an open checkpoint.
  ///   - target: a .h5, .hdf5 or .safetensors file, replaced when all is written; or a new folder.
  ///   - maximumShardBytes: for a folder.
  ///   - progress: called after each chunk.
  public static func convert(
    _ source: any TensorSource, toPath target: String,
    maximumShardBytes: Int = CheckpointWriter.defaultShardBytes,
    progress: (ConversionProgress) throws(CheckpointError) -> Void = { _ in }
  ) throws(CheckpointError) -> ConversionReport {
    var report = ConversionReport()
    report.tensorCount = source.tensors.count
    report.byteCount = source.totalByteCount
    let output = try CheckpointWriter.open(
      path: target, tensors: source.tensors, metadata: source.metadata,
      maximumShardBytes: maximumShardBytes)
    report.companionsLeftOut = output.companionsLeftOut
    // What knows names of the same bytes is HDF5, and it alone has attributes for a tensor.
    if !output.sharesStorage {
      report.attributesLeftOut = source.tensors.filter { !$0.attributes.isEmpty }.map(\.name)
    }
    try convert(source, to: output.sink, sharing: output.sharesStorage, progress: progress)
    return report
  }
}
