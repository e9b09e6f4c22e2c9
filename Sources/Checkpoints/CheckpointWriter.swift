import Tensors

/// Makes the sink that an output's name asks for.
public enum CheckpointWriter {
  /// A sink for a path: `.h5` and `.hdf5` become HDF5, `.safetensors` one file, anything else a
  /// model folder with companions.
  ///
  /// - Parameters:
  ///   - tensors: names, types and shapes in the order to write them.
  ///   - maximumShardBytes: in a folder, the most bytes of one file.
  public static func create(
    path: String, tensors: [TensorDescription], metadata: CheckpointMetadata,
    maximumShardBytes: Int = 5_000_000_000
  ) throws(CheckpointError) -> any TensorSink {
    switch try ConversionTarget(path: path) {
    case .hdf5:
      return try HDF5Sink(
        path: path, tensors: tensors.map { HDF5SinkTensor($0) },
        attributes: try CheckpointConversion.attributes(
          try metadata.embedded().strings, target: path))
    case .safetensors:
      return try SafetensorsSink(path: path, tensors: tensors, strings: metadata.strings)
    case .folder:
      return try ModelFolderSink(
        path: path, tensors: tensors, metadata: metadata, maximumShardBytes: maximumShardBytes)
    }
  }
}
