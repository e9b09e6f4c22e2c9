import Artefacts
import Checkpoints
import Foundation
import JSONText
import Tensors
import Weights

/// An artefact as a base model and an adapter: what `transformers` and `peft` load.
///
/// The base holds what every weight is without its low-rank paths, decoded and dense; the adapter
/// holds the paths. Base and adapter together are the artefact's own values.
public enum PEFTExport {
  /// The folder of the base model inside the export.
  public static let baseFolder = "base"

  /// What was written.
  public struct Report: Sendable {
    public var modules: Int
    /// What could not be expressed, and what became of it.
    public var warnings: [String]
  }

  /// Writes adapter_config.json, adapter_model.safetensors and base/ into a folder, which is made.
  ///
  /// A weight with several paths gets one adapter of their ranks together. Transforms of the input
  /// are folded into the base and into A. Codes and other parts of the base are decoded. Paths of
  /// what is no linear layer (an embedding) stay in the base.
  ///
  /// - Throws: `InterchangeError.modelNotPossible` where no weight has a path, or where kernels of
  ///   both orientations do; `CheckpointError`; `ArtefactError`.
  public static func run(
    _ artefact: ArtefactFile, toFolder folder: String, memoryLimit: Int? = nil,
    report: (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws -> Report {
    var layout: [TensorDescription] = []
    var layers: [String] = []
    var adapted: Set<String> = []
    var orientations: Set<Bool> = []
    var warnings: [String] = []
    // Factors wait for the adapter's file.
    var (needs, held): ([(name: String, bytes: Int)], Int) = ([], 0)
    for name in artefact.names {
      let content = try artefact.content(of: name)
      if content.tiedTo != nil { continue }
      needs.append((name, 16 * content.sourceShape.elementCount))
      var dtype = content.sourceType
      if case .weight(let weight) = content.kind {
        let isLinear = isLinearLayer(name, weight)
        if isLinear { layers.append(module(of: name)) }
        if !weight.lowRank.isEmpty {
          dtype = .f32
          if isLinear {
            adapted.insert(name)
            held += 8 * weight.lowRank.map(\.rank).reduce(0, +) * (weight.rows + weight.columns)
            orientations.insert(weight.view.layout == .outputsLast)
          } else {
            warnings.append("'\(name)' is no linear layer: its path is merged into the base")
          }
        }
      } else if isLinearName(name), content.sourceShape.rank == 2 {
        layers.append(module(of: name))
      }
      layout.append(
        TensorDescription(name: name, dtype: dtype, shape: content.sourceShape, storage: .empty))
    }
    if let name = artefact.header.keyValueScheme?.name ?? artefact.header.keyValueScales?.name {
      warnings.append("keys and values are rounded in the artefact (\(name)); here they are exact")
    }
    guard !adapted.isEmpty else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: "PEFT",
        reason: "no linear layer has a low-rank path; compress with a 'low_rank' stage, or export "
          + "another format")
    }
    guard orientations.count == 1 else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: "PEFT",
        reason: "some kernels are stored in × out and others out × in, and one adapter has one "
          + "fan_in_fan_out")
    }
    try TransferMemory.check(limit: memoryLimit, held: held, needs: needs)
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let base = folder + "/" + baseFolder
    let output = try CheckpointWriter.open(
      path: base, tensors: layout, metadata: try metadata(artefact, layout))
    var modules: [PEFTAdapter.Module] = []
    for (index, tensor) in layout.enumerated() {
      let content = try artefact.content(of: tensor.name)
      report(index, layout.count, tensor.name)
      switch content.kind {
      case .tensor(let stored):
        try stored.bytes.withBuffer { bytes throws(CheckpointError) in
          try output.sink.write(bytes, to: tensor.name, at: 0)
        }
      case .weight(let weight):
        var rest = weight
        if adapted.contains(tensor.name) {
          modules.append(try adapter(of: weight, name: module(of: tensor.name)))
          rest.lowRank = []
        }
        let values = rest.decodedInSourceLayout()
        let bytes = try Bytes(count: values.count * tensor.dtype.bytes) { target in
          try values.withUnsafeBufferPointer {
            try FloatConversion.encode($0, as: tensor.dtype, into: target)
          }
        }
        try bytes.withBuffer { buffer throws(CheckpointError) in
          try output.sink.write(buffer, to: tensor.name, at: 0)
        }
      }
    }
    try output.sink.finish()
    try PEFTAdapter(
      modules: modules, fanInFanOut: orientations.contains(true), basePath: base
    ).write(toFolder: folder, layers: layers)
    return Report(modules: modules.count, warnings: warnings)
  }

  /// All paths of a weight as one pair of factors for the original inputs, scale 1.
  static func adapter(
    of weight: CompressedWeight, name: String
  ) throws -> PEFTAdapter.Module {
    if weight.lowRank.count == 1, weight.site == nil, let path = weight.lowRank.first,
      path.scale == 1, path.sigma == nil, case .dense(let b) = path.b, case .dense(let a) = path.a
    {
      return PEFTAdapter.Module(name: name, a: a.values, b: b.values)
    }
    var (aRows, bColumns): ([Float], [[Float]]) = ([], Array(repeating: [], count: weight.rows))
    var rank = 0
    for path in weight.lowRank {
      var a = path.a.decoded()
      let sigma = path.sigma?.floats()
      for row in 0..<a.rows {
        let factor = path.scale * (sigma?[row] ?? 1)
        for index in a.range(ofRow: row) { a.values[index] *= factor }
      }
      // A as the original inputs meet it: the rows of a weight that sees T(x).
      var rows = CompressedWeight.dense(a)
      rows.site = weight.site
      aRows += rows.decoded().values
      let b = path.b.decoded()
      for row in 0..<b.rows { bColumns[row] += b.values[b.range(ofRow: row)] }
      rank += a.rows
    }
    return PEFTAdapter.Module(
      name: name, a: Tensor(dtype: .f32, shape: [rank, weight.columns], array: aRows),
      b: Tensor(dtype: .f32, shape: [weight.rows, rank], array: Array(bColumns.joined())))
  }

  private static func isLinearLayer(_ name: String, _ weight: CompressedWeight) -> Bool {
    isLinearName(name) && weight.view.sourceShape.rank == 2 && weight.view.layout != .inputsFirst
  }

  /// Embeddings are looked up, not multiplied, and have factors of another form in PEFT.
  private static func isLinearName(_ name: String) -> Bool {
    let leaf = module(of: name).split(separator: ".").last ?? ""
    return name.hasSuffix(".weight")
      && !["embed_tokens", "wte", "wpe", "embed_positions", "word_embeddings"].contains(leaf)
  }

  private static func module(of name: String) -> String {
    name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
  }

  /// The base's config.json, its element type that of the values written.
  private static func metadata(
    _ artefact: ArtefactFile, _ layout: [TensorDescription]
  ) throws -> CheckpointMetadata {
    var metadata = artefact.denseMetadata
    guard let text = metadata.configuration ?? metadata.strings["config.json"],
      var object = (try? JSONParser.parse(text))?.object
    else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: "PEFT",
        reason: "it has no config.json, which says what the tensors are for")
    }
    for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = "float32" }
    let written = JSONValue.object(object).text(.pretty) + "\n"
    metadata.configuration = written
    metadata.strings["config.json"] = written
    return metadata
  }
}
