import Artefacts
import Digests
import Foundation
import LowRank
import Tensors
import Weights

/// Folds the low-rank paths of an artefact's weights into their bases, and leaves an artefact.
public enum MergeRun {
  /// What became of one weight.
  public struct Outcome: Sendable {
    public var name: String
    /// For a base of codes; nil for a dense one, in which nothing is lost.
    public var report: PathMerging.Report?
  }

  /// Merges every weight with paths; other tensors go over as they are.
  ///
  /// - Parameter intoCodes: whether quantized bases are merged too; otherwise they keep their paths.
  /// - Throws: `ArtefactError`, `PipelineError`, `CheckpointError`.
  public static func run(
    _ artefact: ArtefactFile, output: String, intoCodes: Bool, workers: Int, durable: Bool = true
  ) throws -> [Outcome] {
    let partPath = output + ".pith-merge"
    let part = try PartFile(path: partPath)
    defer { try? FileManager.default.removeItem(atPath: partPath) }
    var outcomes: [Outcome] = []
    var entries: [ArtefactEntry] = []
    for name in artefact.names {
      let content = try artefact.content(of: name)
      if let first = content.tiedTo {
        entries.append(ArtefactEntry(name: name, content: .tied(to: first)))
        continue
      }
      switch content.kind {
      case .tensor(let tensor):
        let dataset = try store(tensor, path: "", attributes: [:], in: part)
        entries.append(ArtefactEntry(name: name, content: .tensor(dataset)))
      case .weight(var weight):
        if !weight.lowRank.isEmpty, intoCodes || weight.base?.isQuantized != true {
          let merged = PathMerging.merged(weight)
          weight = merged.weight
          outcomes.append(Outcome(name: name, report: merged.report))
        }
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
      workPath: output + ".pith-merge-output", durable: durable, pool: WorkerPool(workers: workers))
    return outcomes
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
