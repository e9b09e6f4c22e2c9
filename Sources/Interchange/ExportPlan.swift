import Checkpoints
import JSONText
import Tensors

/// A tensor of another tool's file: its header is known at once, its bytes are made when they are
/// written.
public struct ExportTensor: Sendable {
  public let name: String
  public let dtype: DType
  public let shape: Shape
  /// Appends the bytes.
  let pour: @Sendable (StagingBuffer) throws -> Void

  /// A tensor whose bytes are made a piece at a time.
  init(
    _ name: String, _ dtype: DType, _ shape: [Int],
    pouring pour: @escaping @Sendable (StagingBuffer) throws -> Void
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = Shape(shape)
    self.pour = pour
  }

  /// A tensor whose bytes are made at once, or lie ready.
  init(
    _ name: String, _ dtype: DType, _ shape: [Int], make: @escaping @Sendable () throws -> Bytes
  ) {
    self.init(name, dtype, shape, pouring: { try $0.append(try make()) })
  }

  /// All bytes, for files that take a tensor whole.
  func bytes(through staging: StagingBuffer) throws -> Bytes {
    try Bytes(count: description.byteCount) { target in
      try staging.collect(at: 0, pour) { bytes, offset in
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: bytes)
      }
    }
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
  /// Each worker holds a piece of a tensor, or one tensor where a format turns it about.
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
    let buffers = StagingBuffers()
    try pool.forEach(tensors.count) { index in
      let tensor = tensors[index]
      try buffers.with { staging in
        try staging.collect(at: sink.position(of: tensor.name), tensor.pour) { bytes, offset in
          try sink.write(bytes, to: tensor.name, at: offset)
        }
      }
      report(index + 1, tensors.count, tensor.name)
    }
    try adapter?.write(inFolder: sink.unfinishedPath, of: path)
    try sink.finish()
  }
}
