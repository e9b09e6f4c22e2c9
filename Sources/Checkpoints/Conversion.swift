import Tensors

/// Copies checkpoints from one container to another.
///
/// Names, types, shapes, values and string metadata arrive bit for bit. Two names of the same bytes
/// stay two names of the same bytes in HDF5 and become two copies in safetensors, which has no
/// way to say it. The order of the tensors stays too, but for HDF5 the tensors of a group ("group/…")
/// come together.
public enum CheckpointConversion {
  /// The most bytes that are in memory at a time, besides a row that must be decoded whole.
  public static let chunkBytes = 8 << 20

  /// Streams all tensors of a source into a sink that was laid out for them, and finishes it.
  ///
  /// - Parameters:
  ///   - source: where the values come from.
  ///   - sink: announced with the source's names, types and shapes.
  ///   - sharing: whether the sink knows names of the same bytes, which are then written once.
  ///   - progress: called after each chunk.
  public static func convert(
    _ source: any TensorSource, to sink: any TensorSink, sharing: Bool = false,
    progress: (ConversionProgress) throws(CheckpointError) -> Void = { _ in }
  ) throws(CheckpointError) {
    let tensors = source.tensors
    let total = source.totalByteCount
    var done = 0
    for (index, tensor) in tensors.enumerated() {
      let start = done
      if !sharing || tensor.sharesStorageWith == nil {
        try source.forEachChunk(of: tensor, maximumBytes: chunkBytes) {
          bytes, offset throws(CheckpointError) in
          try sink.write(bytes, to: tensor.name, at: offset)
          try progress(
            ConversionProgress(
              tensor: tensor.name, tensorIndex: index, tensorCount: tensors.count,
              bytesDone: start + offset + bytes.count, bytesTotal: total))
        }
      }
      done = min(total, start + tensor.byteCount)
    }
    try sink.finish()
  }
}

/// How far a conversion is.
public struct ConversionProgress: Sendable, Hashable {
  public let tensor: String
  public let tensorIndex: Int
  public let tensorCount: Int
  public let bytesDone: Int
  public let bytesTotal: Int
}

/// What a conversion wrote, and what the target's format has no place for.
public struct ConversionReport: Sendable, Hashable {
  public var tensorCount = 0
  public var byteCount = 0
  /// Companions that were not carried along: beside a single safetensors file they would lie in
  /// a folder that may be anybody's, and an HDF5 attribute holds only text.
  public var companionsLeftOut: [String] = []
  /// Tensors whose attributes safetensors cannot hold.
  public var attributesLeftOut: [String] = []
}
