import Architectures
import Artefacts
import Checkpoints
import Models
import Synchronization
import Tensors
import Weights

/// A model whose finished tensors are read back from their part files, the others from the
/// checkpoint: what the states go through, in a fresh run as in a resumed one.
final class PropagatedWeights: WeightProvider {
  let description: ModelDescription
  private let dense: CheckpointWeights
  /// The name under which a tensor is stored, of those that share another's storage.
  private let firstNames: [String: String]
  private let finished = Mutex<[String: ArtefactEntry]>([:])

  init(_ source: any TensorSource) throws {
    dense = try CheckpointWeights(source, mapped: false)
    description = dense.description
    firstNames = Dictionary(
      source.tensors.compactMap { tensor in tensor.sharesStorageWith.map { (tensor.name, $0) } }
    ) { first, _ in first }
  }

  /// A finished tensor counts from now on.
  func add(_ entry: ArtefactEntry) {
    if case .weight = entry.content { finished.withLock { $0[entry.name] = entry } }
  }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    guard let weight = try compressed(linear.weight) else { return try dense.weight(linear) }
    if weight.view.layout == linear.layout { return .dense(weight.decoded()) }
    return try CompressedWeight(
      dense: Tensor(
        dtype: .f32, shape: weight.view.sourceShape, array: weight.decodedInSourceLayout()),
      for: linear)
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try dense.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    guard let weight = try compressed(name), weight.view.layout == .outputsFirst,
      weight.rows == rows, weight.columns == columns
    else { return try dense.table(name, rows: rows, columns: columns) }
    return FloatTable(weight)
  }

  private func compressed(_ name: String) throws -> CompressedWeight? {
    guard let entry = finished.withLock({ $0[firstNames[name] ?? name] }) else { return nil }
    return try entry.compressedWeight()
  }
}

extension ArtefactEntry {
  /// The weight that was written to a part file, read back; nil for another kind of content.
  func compressedWeight() throws -> CompressedWeight? {
    guard case .weight(let attributes, let datasets) = content else { return nil }
    let parts = try datasets.map { dataset in
      let file = try ReadOnlyFile(path: dataset.location.file)
      let bytes = try Bytes(count: dataset.byteCount) { target in
        try file.read(at: dataset.location.offset, into: target)
      }
      return EncodedWeight.Part(
        path: dataset.path,
        tensor: try Tensor(dtype: dataset.dtype, shape: dataset.shape, bytes: bytes),
        attributes: dataset.attributes)
    }
    return try CompressedWeight(decoding: EncodedWeight(attributes: attributes, parts: parts))
  }
}
