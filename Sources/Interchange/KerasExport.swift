import Artefacts
import Checkpoints
import Tensors
import Weights

/// An artefact of a Keras model as `.weights.h5`, for `load_weights`.
///
/// Datasets keep Keras's own paths (`layers/dense/vars/0`). Two-axis kernels of codes can go in as
/// Keras's own integer variables (`KerasIntegers`), for a model on which `quantize` was called; all
/// else is decoded.
public struct KerasExport: Sendable {
  public let weights: [ExportedWeight]
  let tensors: [ExportTensor]
  private let memoryLimit: Int?

  /// Lays out an export.
  ///
  /// - Parameter modes: Keras's modes that kernels may go in by, where they fit one.
  /// - Throws: `InterchangeError.modelNotPossible` when the tensors are no Keras variables.
  public init(
    _ artefact: ArtefactFile, options: ExportOptions = ExportOptions(),
    modes: Set<KerasMode> = []
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
        if let integers = KerasIntegers(
          name, weight, shape: content.sourceShape, names: artefact.names, modes: modes)
        {
          tensors += integers.variables
          weights.append(
            ExportedWeight(
              name: name, form: "\(content.typeName) → \(integers.mode.rawValue) variables",
              isExact: true, addedError: nil))
          continue
        }
        let dtype = options.dtype ?? content.sourceType
        tensors.append(
          ExportTensor(
            name, dtype, weight.view.sourceShape.dimensions, holding: weight.decodingBytes
          ) {
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
    memoryLimit = options.memoryLimit
  }

  /// Writes the file; each worker holds one tensor at a time.
  ///
  /// - Parameter gzip: compresses every dataset, as `save_weights` does not but readers take.
  public func write(
    to path: String, gzip: Bool = false, pool: WorkerPool,
    report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws {
    let memory = try TransferMemory(
      limit: memoryLimit, needs: tensors.map { ($0.name, Self.workingBytes(of: $0)) })
    let layout = tensors.map { HDF5SinkTensor($0.description) }
    if gzip {
      let sink = try HDF5CompressedSink(path: path, tensors: layout)
      try write(memory, pool, report) { bytes, name throws(CheckpointError) in
        try sink.write(bytes, to: name)
      }
      try sink.finish()
      return
    }
    let sink = try HDF5Sink(path: path, tensors: layout)
    try write(memory, pool, report) { bytes, name throws(CheckpointError) in
      try sink.write(bytes, to: name, at: 0)
    }
    try sink.finish()
  }

  /// A tensor goes into the file whole; compressed, once more.
  private static func workingBytes(of tensor: ExportTensor) -> Int {
    tensor.workingBytes + 2 * tensor.description.byteCount
  }

  private func write(
    _ memory: TransferMemory, _ pool: WorkerPool,
    _ report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void,
    _ put: @Sendable (UnsafeRawBufferPointer, String) throws(CheckpointError) -> Void
  ) throws {
    let buffers = StagingBuffers(memory)
    try pool.forEach(tensors.count) { index in
      try buffers.with(Self.workingBytes(of: tensors[index])) { staging in
        try tensors[index].bytes(through: staging).withBuffer { buffer throws(CheckpointError) in
          try put(buffer, tensors[index].name)
        }
      }
      report(index + 1, tensors.count, tensors[index].name)
    }
  }

  private static func plain(
    _ name: String, _ tensor: Tensor, _ content: StoredTensor, _ options: ExportOptions
  ) -> ExportTensor {
    let shape = content.sourceShape.dimensions
    guard let dtype = options.dtype, tensor.dtype.isFloatingPoint, dtype != tensor.dtype else {
      return ExportTensor(name, tensor.dtype, shape, of: tensor.bytes)
    }
    return ExportTensor(name, dtype, shape, holding: 12 * content.sourceShape.elementCount) {
      try PlainValues.bytes(tensor.floats(), as: dtype)
    }
  }
}
