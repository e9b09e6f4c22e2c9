import Tensors

/// Makes the sink that an output's name asks for.
public enum CheckpointWriter {
  /// A sink and what its format makes of the model.
  public struct Output: Sendable {
    public let sink: any TensorSink
    /// Companions that are not carried along: beside a single safetensors file they would lie in
    /// a folder that may be anybody's, and an HDF5 attribute holds only text.
    public let companionsLeftOut: [String]
    /// Whether names of the same bytes are stored once; the caller then writes the first only.
    public let sharesStorage: Bool
  }

  /// The most bytes of one shard of a folder, unless told otherwise.
  public static let defaultShardBytes = 5_000_000_000

  /// A sink for a path: `.h5` and `.hdf5` become HDF5 with the companions' texts as root
  /// attributes, `.safetensors` one file, anything else a folder with safetensors and companions.
  ///
  /// - Parameters:
  ///   - tensors: names, types, shapes and ties in the order to write them.
  ///   - maximumShardBytes: in a folder, the most bytes of one file.
  /// - Throws: `CheckpointError.output` when the format cannot hold what it is given.
  public static func open(
    path: String, tensors: [TensorDescription], metadata: CheckpointMetadata,
    maximumShardBytes: Int = defaultShardBytes
  ) throws(CheckpointError) -> Output {
    switch try ConversionTarget(path: path) {
    case .hdf5:
      let (strings, leftOut) = try metadata.embedded()
      let sink = try HDF5Sink(
        path: path, tensors: tensors.map { HDF5SinkTensor($0) },
        attributes: try attributes(strings, target: path))
      return Output(sink: sink, companionsLeftOut: leftOut, sharesStorage: true)
    case .safetensors:
      let sink = try SafetensorsSink(path: path, tensors: tensors, strings: metadata.strings)
      return Output(
        sink: sink, companionsLeftOut: metadata.companions.keys.sorted(), sharesStorage: false)
    case .folder:
      let sink = try ModelFolderSink(
        path: path, tensors: tensors, metadata: metadata, maximumShardBytes: maximumShardBytes)
      return Output(sink: sink, companionsLeftOut: [], sharesStorage: false)
    }
  }

  private static func attributes(
    _ strings: [String: String], target: String
  ) throws(CheckpointError) -> [String: AttributeValue] {
    for (key, text) in strings {
      if key.isEmpty || key.utf8.contains(0) || text.utf8.contains(0) {
        throw .output(
          path: target,
          .textNotPossible(
            key: key, reason: key.isEmpty ? "HDF5 has no empty names" : "HDF5 texts end at a NUL"))
      }
    }
    return strings.mapValues { .string($0) }
  }
}
