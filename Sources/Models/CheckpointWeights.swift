import Architectures
import Checkpoints
import Tensors
import Weights

/// A checkpoint's own dense weights.
public struct CheckpointWeights: WeightProvider {
  public let description: ModelDescription
  /// Tensors of the checkpoint that the model does not read.
  public let unused: [String]
  private let source: any TensorSource
  private let byName: [String: TensorDescription]
  private let mapped: Bool

  /// Weights of a checkpoint whose configuration came with it.
  ///
  /// - Parameters:
  ///   - configuration: config.json's text; nil takes the checkpoint's own.
  ///   - mapped: whether tensors may stay mapped. Mapped pages count against a memory cap as they
  ///     are touched; without mapping they are read, and freed with the block that holds them.
  ///     Tables are mapped either way where they can be, and without it let go after each use.
  /// - Throws: `ArchitectureError` when the configuration is missing or does not fit.
  public init(
    _ source: any TensorSource, configuration: String? = nil, mapped: Bool = true
  ) throws {
    guard let text = configuration ?? source.metadata.configuration else {
      throw ArchitectureError.missingKey(key: "config.json", family: source.path)
    }
    (description, unused) = try ModelDescription.resolve(
      configuration: text, tensors: source.tensors)
    self.source = source
    self.mapped = mapped
    byName = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    try CompressedWeight(dense: load(linear.weight), for: linear)
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    let values = try load(name).floats()
    guard values.count == count else {
      throw ModelError.wrongLength(name: name, found: values.count, expected: count)
    }
    return values
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    let description = try described(name)
    guard description.shape.dimensions == [rows, columns] else {
      throw ModelError.wrongWeightShape(
        name: name, found: description.shape.dimensions, expected: [rows, columns])
    }
    // Tables outlive all blocks and may be larger than any: under a cap only the rows at hand stay.
    if !mapped, let bytes = try source.mapped(description), bytes.count > 0 {
      return FloatTable(
        transient: try Tensor(dtype: description.dtype, shape: description.shape, bytes: bytes))
    }
    return FloatTable(try load(name))
  }

  private func described(_ name: String) throws(ModelError) -> TensorDescription {
    guard let tensor = byName[name] else { throw .noTensor(name: name, path: source.path) }
    return tensor
  }

  private func load(_ name: String) throws -> Tensor {
    let tensor = try described(name)
    if mapped { return try source.load(tensor) }
    let bytes = try Bytes(count: tensor.byteCount) { target in
      try source.read(tensor, rows: 0..<tensor.shape.rows, into: target)
    }
    return try Tensor(dtype: tensor.dtype, shape: tensor.shape, bytes: bytes)
  }
}
