import Tensors

/// A checkpoint that is open for reading: everything was validated when it was opened.
///
/// Reading is safe from several threads at once.
public protocol TensorSource: Sendable {
  /// The file or folder, as the user named it.
  var path: String { get }
  /// The container's format, as people call it ("HDF5", "safetensors", "Keras HDF5" …).
  var format: String { get }
  /// The tensors in the file's own order.
  var tensors: [TensorDescription] { get }
  /// The configuration, the tokenizer and other texts that came with the tensors.
  var metadata: CheckpointMetadata { get }
  /// Objects of the container that are no tensors (texts, compound types …), and why.
  var skipped: [SkippedObject] { get }

  /// Reads some rows (steps of the outermost extent) of a tensor; a scalar has one row.
  ///
  /// - Parameters:
  ///   - tensor: one of `tensors`.
  ///   - rows: within `0..<tensor.shape.rows`.
  ///   - target: exactly `rows.count * tensor.rowByteCount` bytes, filled with little-endian values.
  /// - Throws: `CheckpointError` when the file ends early, changed, or cannot be decoded.
  func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError)

  /// The tensor's bytes by memory mapping, nil when they must be decoded first.
  func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes?
}

/// An object that a source passed over.
public struct SkippedObject: Sendable, Hashable {
  public var name: String
  public var reason: String

  public init(name: String, reason: String) {
    self.name = name
    self.reason = reason
  }
}

/// What comes with a model's tensors.
public struct CheckpointMetadata: Sendable, Hashable {
  /// String attributes (HDF5 root) or `__metadata__` (safetensors), in order.
  public var strings: [String: String] = [:]
  /// The text of config.json, from a sibling file or embedded.
  public var configuration: String?
  /// Paths of the files that belong to the model and are carried along (config.json,
  /// tokenizer.json, …), by file name.
  public var companions: [String: String] = [:]

  public init() {}
}

extension TensorSource {
  public var skipped: [SkippedObject] { [] }

  /// The tensor of a name.
  public func tensor(named name: String) -> TensorDescription? {
    tensors.first { $0.name == name }
  }

  /// Makes sure that the tensors are all there is: nothing that a user had is lost silently.
  ///
  /// - Throws: `CheckpointError.opening(_, .otherObjects)`.
  public func requireOnlyTensors() throws(CheckpointError) {
    guard skipped.isEmpty else { throw .opening(path: path, .otherObjects(skipped)) }
  }

  /// The whole tensor in memory: mapped where possible, else read and decoded.
  public func load(_ tensor: TensorDescription) throws -> Tensor {
    if let mapped = try mapped(tensor) {
      return try Tensor(dtype: tensor.dtype, shape: tensor.shape, bytes: mapped)
    }
    let bytes = try Bytes(count: tensor.byteCount) { target in
      try read(tensor, rows: 0..<tensor.shape.rows, into: target)
    }
    return try Tensor(dtype: tensor.dtype, shape: tensor.shape, bytes: bytes)
  }
}
