import Artefacts
import Foundation
import Tensors
import Weights

/// An artefact written again with some of its tensors changed; the others go over as they are.
enum ArtefactRewrite {
  /// - Parameter change: what becomes of a tensor that is not tied to another, by its name.
  /// - Throws: `ArtefactError`, `PipelineError`, `CheckpointError`, and what `change` throws.
  static func run(
    _ artefact: ArtefactFile, output: String, workers: Int, durable: Bool,
    change: (_ name: String, _ content: StoredTensor) throws -> StoredTensor.Kind
  ) throws {
    let partPath = output + ".pith-rewrite"
    let part = try PartFile(path: partPath)
    defer { try? FileManager.default.removeItem(atPath: partPath) }
    var entries: [ArtefactEntry] = []
    for name in artefact.names {
      let content = try artefact.content(of: name)
      if let first = content.tiedTo {
        entries.append(ArtefactEntry(name: name, content: .tied(to: first)))
        continue
      }
      switch try change(name, content) {
      case .tensor(let tensor):
        let dataset = try store(tensor, path: "", attributes: [:], in: part)
        entries.append(ArtefactEntry(name: name, content: .tensor(dataset)))
      case .weight(let weight):
        let encoded = weight.encodedParts()
        var attributes = encoded.attributes
        attributes[ArtefactEntry.sourceTypeAttribute] = .string(content.sourceType.rawValue)
        let datasets = try encoded.parts.map {
          try store($0.tensor, path: $0.path, attributes: $0.attributes, in: part)
        }
        entries.append(
          ArtefactEntry(name: name, content: .weight(attributes: attributes, datasets: datasets)))
      }
    }
    try ArtefactWriter.assemble(
      header: artefact.header, entries: entries, target: output,
      workPath: output + ".pith-rewrite-output", durable: durable,
      pool: WorkerPool(workers: workers))
  }

  private static func store(
    _ tensor: Tensor, path: String, attributes: [String: AttributeValue], in part: PartFile
  ) throws -> ArtefactDataset {
    let payload = PartPayload(in: part, byteCount: tensor.bytes.count, hashing: true)
    try tensor.bytes.withBuffer { bytes throws(PipelineError) in try payload.append(bytes) }
    return ArtefactDataset(
      path: path, dtype: tensor.dtype, shape: tensor.shape, attributes: attributes,
      sha256: payload.finish(), location: PartLocation(file: part.path, offset: payload.offset))
  }
}
