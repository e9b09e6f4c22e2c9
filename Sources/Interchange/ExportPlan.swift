import Checkpoints
import JSONText
import Tensors

/// A tensor of another tool's file: its header is known at once, its bytes are made when they are
/// written.
public struct ExportTensor: Sendable {
  public let name: String
  public let dtype: DType
  public let shape: Shape
  let make: @Sendable () throws -> Bytes

  init(
    _ name: String, _ dtype: DType, _ shape: [Int], make: @escaping @Sendable () throws -> Bytes
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = Shape(shape)
    self.make = make
  }

  var description: TensorDescription {
    TensorDescription(name: name, dtype: dtype, shape: shape, storage: .empty)
  }
}

/// What an export did with one weight.
public struct ExportedWeight: Sendable, Hashable {
  public let name: String
  /// "int4 g128 → pack-quantized".
  public let form: String
  /// Whether the file holds the artefact's very values.
  public let isExact: Bool
  /// ‖new − old‖ / ‖old‖ when it was rounded again.
  public let addedError: Double?
}

/// A model in another tool's layout: everything but the bytes.
public struct ExportPlan: Sendable {
  public var tensors: [ExportTensor] = []
  /// Texts that go beside the tensors, by file name (config.json, tokenizer.json …).
  public var files: [String: String] = [:]
  public var weights: [ExportedWeight] = []
  public var warnings: [String] = []
  /// Low-rank paths that go beside the codes, in a folder of their own.
  public var adapter: EoRAAdapter?

  /// Writes a Hugging Face folder: safetensors, sharded with an index when large.
  ///
  /// Each worker holds one tensor at a time.
  ///
  /// - Throws: `CheckpointError` of the folder, and what making a tensor throws; nothing is left
  ///   behind then.
  public func writeFolder(
    _ path: String, maximumShardBytes: Int, pool: WorkerPool,
    report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws {
    var metadata = CheckpointMetadata()
    metadata.strings = files
    // The one string that readers of safetensors look for.
    metadata.strings["format"] = "pt"
    let sink = try ModelFolderSink(
      path: path, tensors: tensors.map(\.description), metadata: metadata,
      maximumShardBytes: maximumShardBytes)
    try pool.forEach(tensors.count) { index in
      let tensor = tensors[index]
      let bytes = try tensor.make()
      try bytes.withBuffer { buffer throws(CheckpointError) in
        try sink.write(buffer, to: tensor.name, at: 0)
      }
      report(index + 1, tensors.count, tensor.name)
    }
    try adapter?.write(inFolder: sink.unfinishedPath, of: path)
    try sink.finish()
  }
}
