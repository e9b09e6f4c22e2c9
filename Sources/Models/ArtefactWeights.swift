import Architectures
import Artefacts
import Checkpoints
import Tensors
import Weights

/// An artefact's weights: compressed ones as they are, the others dense.
public struct ArtefactWeights: WeightProvider {
  public let description: ModelDescription
  public var keyValueScheme: KeyValueScheme? { file.header.keyValueScheme }
  public var keyValueScales: KeyValueScales? { file.header.keyValueScales }
  /// Tensors of the artefact that the model does not read.
  public let unused: [String]
  private let file: ArtefactFile

  /// Weights of an artefact that carries its model's configuration.
  ///
  /// - Throws: `ArchitectureError` when the configuration is missing or does not fit.
  public init(_ file: ArtefactFile) throws {
    guard let text = file.header.configuration else {
      throw ArchitectureError.missingKey(key: "config.json", family: file.path)
    }
    let tensors = try file.names.map { name in
      let content = try file.content(of: name)
      return TensorDescription(
        name: name, dtype: content.sourceType, shape: content.sourceShape, storage: .empty)
    }
    (description, unused) = try ModelDescription.resolve(configuration: text, tensors: tensors)
    self.file = file
  }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    switch try file.content(of: linear.weight).kind {
    case .tensor(let tensor):
      return try CompressedWeight(dense: tensor, for: linear)
    case .weight(let weight):
      if weight.view.layout == linear.layout { return weight }
      // Compressed as if its first axis were outputs: the numbers hold, the groups run the other
      // way, so that it can only run dense, and its inputs have no rounding that would be theirs.
      let values = weight.decodedInSourceLayout()
      return try CompressedWeight(
        dense: Tensor(dtype: .f32, shape: weight.view.sourceShape, array: values), for: linear)
    }
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    let values = try dense(name).floats()
    guard values.count == count else {
      throw ModelError.wrongLength(name: name, found: values.count, expected: count)
    }
    return values
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    if case .weight(let weight) = try file.content(of: name).kind,
      weight.view.layout == .outputsFirst, weight.rows == rows, weight.columns == columns
    {
      return FloatTable(weight)
    }
    let tensor = try dense(name)
    guard tensor.shape.dimensions == [rows, columns] else {
      throw ModelError.wrongWeightShape(
        name: name, found: tensor.shape.dimensions, expected: [rows, columns])
    }
    return FloatTable(tensor)
  }

  private func dense(_ name: String) throws -> Tensor {
    let content = try file.content(of: name)
    switch content.kind {
    case .tensor(let tensor): return tensor
    case .weight(let weight):
      return Tensor(dtype: .f32, shape: content.sourceShape, array: weight.decodedInSourceLayout())
    }
  }
}

extension CompressedWeight {
  /// A dense weight as out × in, whatever its layout in the checkpoint.
  ///
  /// - Throws: `ModelError.wrongWeightShape`.
  public init(dense tensor: Tensor, for linear: LinearDescription) throws(ModelError) {
    guard tensor.shape.dimensions == linear.shape else {
      throw .wrongWeightShape(
        name: linear.weight, found: tensor.shape.dimensions, expected: linear.shape)
    }
    guard linear.layout == .outputsLast else {
      self.init(view: linear.view, base: .dense(DenseBase(values: tensor)))
      return
    }
    let stored = Matrix(rows: linear.inputs, columns: linear.outputs, values: tensor.floats())
    let values = Tensor(
      dtype: .f32, shape: [linear.outputs, linear.inputs], array: stored.transposed.values)
    self.init(view: linear.view, base: .dense(DenseBase(values: values)))
  }
}
