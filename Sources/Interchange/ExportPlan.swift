import Checkpoints
import JSONText
import Tensors
import Weights

/// A tensor of another tool's file: its header is known at once, its bytes are made when they are
/// written.
public struct ExportTensor: Sendable {
  public let name: String
  public let dtype: DType
  public let shape: Shape
  /// Appends the bytes.
  let pour: @Sendable (StagingBuffer) throws -> Void
  /// The memory that this takes at its peak, at most.
  let workingBytes: Int

  /// A tensor whose bytes are made a piece at a time.
  ///
  /// - Parameter holding: what is held beside the buffer meanwhile, in bytes.
  init(
    _ name: String, _ dtype: DType, _ shape: [Int], holding: Int = 0,
    pouring pour: @escaping @Sendable (StagingBuffer) throws -> Void
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = Shape(shape)
    self.pour = pour
    workingBytes = StagingBuffer.workingBytes + holding
  }

  /// A tensor that lies ready, in a file or in memory.
  init(_ name: String, _ dtype: DType, _ shape: [Int], of bytes: Bytes) {
    self.init(name, dtype, shape, pouring: { try $0.append(bytes) })
  }

  /// A tensor whose bytes are made at once.
  ///
  /// - Parameter holding: what is held meanwhile; by default the bytes twice.
  init(
    _ name: String, _ dtype: DType, _ shape: [Int], holding: Int? = nil,
    make: @escaping @Sendable () throws -> Bytes
  ) {
    self.init(
      name, dtype, shape,
      holding: holding ?? 2 * Shape(shape).elementCount * dtype.bytes,
      pouring: { try $0.append(try make()) })
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
  /// Bytes of weights that wait in memory: rounded again, or unpacked from survivors.
  private(set) var heldBytes = 0
  /// The most bytes that the process may take; nil for no cap.
  var memoryLimit: Int?

  /// Counts what of a weight waits in memory until it is written.
  ///
  /// - Throws: `InterchangeError.memoryTooSmall` as soon as what waits is too much.
  mutating func hold(_ base: IntegerBase, name: String) throws(InterchangeError) {
    heldBytes += base.heldBytes
    try TransferMemory.check(limit: memoryLimit, held: heldBytes, needs: [(name, 0)])
  }

  /// Writes a Hugging Face folder: safetensors, sharded with an index when large.
  ///
  /// Each worker holds a piece of a tensor, or one tensor where a format turns it about.
  ///
  /// - Throws: `InterchangeError.memoryTooSmall` before anything is written, `CheckpointError` of the
  ///   folder, and what making a tensor throws; nothing is left behind then.
  public func writeFolder(
    _ path: String, maximumShardBytes: Int, pool: WorkerPool,
    report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws {
    let memory = try TransferMemory(
      limit: memoryLimit, held: heldBytes, needs: tensors.map { ($0.name, $0.workingBytes) })
    var metadata = CheckpointMetadata()
    metadata.strings = files
    // The one string that readers of safetensors look for.
    metadata.strings["format"] = "pt"
    let sink = try ModelFolderSink(
      path: path, tensors: tensors.map(\.description), metadata: metadata,
      maximumShardBytes: maximumShardBytes)
    let buffers = StagingBuffers(memory)
    try pool.forEach(tensors.count) { index in
      let tensor = tensors[index]
      try buffers.with(tensor.workingBytes) { staging in
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
