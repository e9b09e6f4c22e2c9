import Architectures
import Artefacts
import Checkpoints
import Digests
import Foundation
import JSONText
import Models
import Tensors
import Weights

/// Writes a base with tuned parameters in their places.
///
/// Everything else, codes above all, has the same bytes as in the base.
public enum TunedArtefact {
  /// Writes an artefact.
  ///
  /// - Throws: `CheckpointError` such as a full disk.
  public static func write(
    _ result: Tuning.Result, base: ArtefactFile, weights: any WeightProvider, to target: String,
    pool: WorkerPool
  ) throws {
    let tuned = TunedValues(result, weights: weights)
    let part = try ReplacementFile(target: target + ".tuned-part")
    var place = 0
    func dataset(
      _ path: String, _ tensor: Tensor, _ attributes: [String: AttributeValue]
    ) throws -> ArtefactDataset {
      let offset = place
      place += (tensor.bytes.count + 63) / 64 * 64
      let hash = try tensor.bytes.withBuffer { bytes in
        try part.write(bytes, at: offset)
        return SHA256.hexadecimal(of: bytes)
      }
      return ArtefactDataset(
        path: path, dtype: tensor.dtype, shape: tensor.shape, attributes: attributes, sha256: hash,
        location: PartLocation(file: part.target, offset: offset))
    }
    func copied(_ name: String, like tensor: Tensor) throws -> ArtefactDataset {
      var hash = SHA256()
      let offset = place
      try base.forEachPiece(of: name) { bytes in
        try part.write(bytes, at: place)
        hash.update(bytes)
        place += bytes.count
      }
      place = (place + 63) / 64 * 64
      return ArtefactDataset(
        path: "", dtype: tensor.dtype, shape: tensor.shape, attributes: [:],
        sha256: hash.hexadecimal(), location: PartLocation(file: part.target, offset: offset))
    }
    var entries: [ArtefactEntry] = []
    for name in base.names {
      let content = try base.content(of: name)
      if let first = content.tiedTo {
        entries.append(ArtefactEntry(name: name, content: .tied(to: first)))
        continue
      }
      switch content.kind {
      case .tensor(let tensor):
        let values = try tuned.tensor(name, like: tensor)
        entries.append(
          ArtefactEntry(
            name: name,
            content: .tensor(
              try values.map { try dataset("", $0, [:]) } ?? copied(name, like: tensor))))
      case .weight(let stored):
        let encoded = try (tuned.weight(name)?.packed() ?? stored).encodedParts()
        var attributes = encoded.attributes
        attributes[ArtefactEntry.sourceTypeAttribute] = .string(content.sourceType.rawValue)
        entries.append(
          ArtefactEntry(
            name: name,
            content: .weight(
              attributes: attributes,
              datasets: try encoded.parts.map { try dataset($0.path, $0.tensor, $0.attributes) })))
      }
    }
    try part.commit(durably: false)
    defer { try? FileManager.default.removeItem(atPath: part.target) }
    var header = base.header
    header.tuning = summary(result)
    try ArtefactWriter.assemble(
      header: header, entries: entries, target: target, workPath: target + ".tuned-work",
      durable: true, pool: pool)
  }

  /// Writes a dense checkpoint; the file's ending chooses its format.
  public static func write(
    _ result: Tuning.Result, base: any TensorSource, weights: any WeightProvider,
    to target: String
  ) throws {
    let tuned = TunedValues(result, weights: weights)
    let output = try CheckpointWriter.open(
      path: target, tensors: base.tensors, metadata: base.metadata)
    for description in base.tensors {
      guard description.sharesStorageWith == nil || !output.sharesStorage else { continue }
      let stored = try base.load(description)
      let tensor = try tuned.tensor(description.name, like: stored) ?? stored
      try tensor.bytes.withBuffer { bytes in
        try output.sink.write(bytes, to: description.name, at: 0)
      }
    }
    try output.sink.finish()
  }

  /// What an artefact says of its tuning.
  private static func summary(_ result: Tuning.Result) -> String {
    var object = JSONObject()
    object["base_sha256"] = .init(result.header.baseHash)
    object["objective"] = .init(result.header.objective)
    object["data"] = .init(result.header.data)
    object["options"] = result.header.options.json
    object["step"] = .init(result.step)
    object["coordinates_sha256"] = .init(result.hash)
    return JSONValue.object(object).text(.canonical)
  }
}

/// Tuned parameters as they are stored, by the tensors' names.
private struct TunedValues {
  private let weights: TunedWeights
  private let linears: [String: LinearDescription]

  init(_ result: Tuning.Result, weights: any WeightProvider) {
    self.weights = TunedWeights(
      base: weights, space: result.space, coordinates: result.coordinates,
      directions: Directions(kind: .rademacher, seed: 0), offset: nil, asStored: true)
    linears = Dictionary(
      weights.description.blocks.flatMap(\.linears).map { ($0.weight, $0) }
    ) { first, _ in first }
  }

  /// A compressed weight with tuned parts; nil when none of it was tuned.
  func weight(_ name: String) throws -> CompressedWeight? {
    guard weights.space.byTensor[name] != nil, let linear = linears[name] else { return nil }
    return try weights.weight(linear)
  }

  /// A plain tensor's tuned values in its own type and layout; nil when it was not tuned.
  func tensor(_ name: String, like stored: Tensor) throws -> Tensor? {
    guard let index = weights.space.byTensor[name]?.first else { return nil }
    let values =
      try weight(name).map { $0.decodedInSourceLayout() } ?? weights.values(index)
    return Tensor(rounding: values, to: stored.dtype, shape: stored.shape)
  }
}
