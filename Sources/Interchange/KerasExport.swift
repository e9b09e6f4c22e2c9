import Artefacts
import Checkpoints
import Tensors
import Weights

/// An artefact of a Keras model as `.weights.h5`, for `load_weights`.
///
/// Datasets keep Keras's own paths (`layers/dense/vars/0`). A two-axis kernel of 8-bit codes with
/// one scale per output goes in as Keras's own int8 variables, for a model on which
/// `quantize("int8")` was called; all else is decoded.
public struct KerasExport: Sendable {
  public let weights: [ExportedWeight]
  let tensors: [ExportTensor]

  /// Lays out an export.
  ///
  /// - Parameter usesInt8: whether kernels that can be become int8 variables.
  /// - Throws: `InterchangeError.modelNotPossible` when the tensors are no Keras variables.
  public init(
    _ artefact: ArtefactFile, options: ExportOptions = ExportOptions(), usesInt8: Bool = false
  ) throws {
    var tensors: [ExportTensor] = []
    var weights: [ExportedWeight] = []
    guard artefact.names.contains(where: { $0.split(separator: "/").contains("vars") }) else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: "Keras's weights",
        reason: "its tensors are not named as Keras names variables (layers/…/vars/0)")
    }
    for name in artefact.names {
      let content = try artefact.content(of: name)
      switch content.kind {
      case .tensor(let tensor):
        tensors.append(Self.plain(name, tensor, content, options))
      case .weight(let weight):
        if usesInt8, let base = Self.int8(weight, content),
          let scaleName = Self.scaleName(of: name, in: artefact.names)
        {
          tensors += Self.variables(name, scaleName, base)
          weights.append(
            ExportedWeight(
              name: name, form: "\(content.typeName) → int8 variables", isExact: true,
              addedError: nil))
          continue
        }
        let dtype = options.dtype ?? content.sourceType
        tensors.append(
          ExportTensor(name, dtype, weight.view.sourceShape.dimensions) {
            try PlainValues.bytes(weight.decodedInSourceLayout(), as: dtype)
          })
        weights.append(
          ExportedWeight(
            name: name, form: "\(content.typeName) → \(dtype.rawValue)",
            isExact: dtype == .f32 || dtype == .f64, addedError: nil))
      }
    }
    self.tensors = tensors
    self.weights = weights
  }

  /// Writes the file; each worker holds one tensor at a time.
  public func write(
    to path: String, pool: WorkerPool,
    report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws {
    let sink = try HDF5Sink(path: path, tensors: tensors.map { HDF5SinkTensor($0.description) })
    try pool.forEach(tensors.count) { index in
      let bytes = try tensors[index].make()
      try bytes.withBuffer { buffer throws(CheckpointError) in
        try sink.write(buffer, to: tensors[index].name, at: 0)
      }
      report(index + 1, tensors.count, tensors[index].name)
    }
    try sink.finish()
  }

  private static func plain(
    _ name: String, _ tensor: Tensor, _ content: StoredTensor, _ options: ExportOptions
  ) -> ExportTensor {
    let shape = content.sourceShape.dimensions
    guard let dtype = options.dtype, tensor.dtype.isFloatingPoint, dtype != tensor.dtype else {
      return ExportTensor(name, tensor.dtype, shape) { tensor.bytes }
    }
    return ExportTensor(name, dtype, shape) { try PlainValues.bytes(tensor.floats(), as: dtype) }
  }

  /// The codes of a kernel that Keras has int8 variables for.
  private static func int8(_ weight: CompressedWeight, _ content: StoredTensor) -> IntegerBase? {
    guard content.sourceShape.rank == 2, weight.view.layout == .outputsLast,
      weight.lowRank.isEmpty, weight.outliers == nil, weight.site == nil, weight.mask == nil,
      case .integer(let base)? = weight.base, base.grid.bits == 8, base.grid.symmetric,
      base.grid.granularity == .channel
    else { return nil }
    return base
  }

  /// The path of a kernel's scale: the number after the layer's last variable.
  private static func scaleName(of kernel: String, in names: [String]) -> String? {
    guard kernel.hasSuffix("/vars/0") else { return nil }
    let folder = kernel.dropLast(1)
    let numbers = names.filter { $0.hasPrefix(folder) }.compactMap {
      Int($0.dropFirst(folder.count))
    }
    return numbers.max().map { folder + String($0 + 1) }
  }

  /// kernel = codes / kernel_scale there: the scale is the inverse of ours.
  private static func variables(
    _ name: String, _ scaleName: String, _ base: IntegerBase
  ) -> [ExportTensor] {
    [
      ExportTensor(name, .i8, [base.columns, base.rows]) {
        let numbers = base.unpacked()
        var values = [Int8](repeating: 0, count: numbers.codes.count)
        for row in 0..<base.rows {
          for column in 0..<base.columns {
            values[column * base.rows + row] = Int8(
              truncatingIfNeeded: Int(numbers.codes[row * base.columns + column]) - 128)
          }
        }
        return Bytes(values)
      },
      ExportTensor(scaleName, .f32, [base.rows]) { Bytes(base.scales.floats().map { 1 / $0 }) },
    ]
  }
}
