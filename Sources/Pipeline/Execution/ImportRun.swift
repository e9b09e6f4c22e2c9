import Artefacts
import Checkpoints
import Digests
import Foundation
import Interchange
import JSONText
import Synchronization
import Tensors
import Weights

/// Another tool's model → an artefact.
public enum ImportRun {
  /// What an import brought in.
  public struct Outcome: Sendable {
    public var tensors: Int
    public var weights: Int
    public var bytes: Int
  }

  /// Writes the artefact beside its target and renames it when it is complete; each worker holds
  /// one tensor at a time.
  ///
  /// - Parameter memoryLimit: the most bytes that the process may take; nil for no cap.
  /// - Throws: `InterchangeError` for parts that are missing or misshaped and for a tensor that
  ///   takes more memory than the limit, `PipelineError`.
  public static func run(
    _ model: any ImportableModel, output: String, identity tool: ToolIdentity, workers: Int,
    memoryLimit: Int? = nil,
    durable: Bool = true, report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> Outcome {
    let memory = try TransferMemory(
      limit: memoryLimit, needs: model.names.map { ($0, model.workingBytes(of: $0)) })
    let folder = WorkFolder(output: output)
    guard !folder.exists else { throw PipelineError.unfinishedRun(folder: folder.path) }
    try folder.create()
    defer { folder.remove() }
    let pool = WorkerPool(workers: workers)
    let done = Mutex(0)
    let entries = try pool.map(model.names.count) { index in
      let name = model.names[index]
      let part = try PartFile(path: folder.partPath(index: index))
      let entry = try memory.with(model.workingBytes(of: name)) {
        try Self.entry(name, model, part)
      }
      done.withLock {
        $0 += 1
        report(.progress(done: $0, total: model.names.count, current: name))
      }
      return entry
    }
    let recipe = JSONValue(dictionaryLiteral: ("import", .string(model.format)))
      .text(.canonical)
    let header = ArtefactHeader(
      toolVersion: tool.version, configuration: model.configurationText,
      companions: model.companions, recipeName: "import", recipe: recipe,
      recipeHash: Array(recipe.utf8).withUnsafeBytes { SHA256.hexadecimal(of: $0) },
      sourceFormat: model.format, sourceMetadata: [:],
      keyValueScales: try model.keyValueScales(), seed: 0, fingerprint: tool.fingerprint)
    try ArtefactWriter.assemble(
      header: header, entries: entries, target: output, workPath: folder.assemblyPath,
      durable: durable, pool: pool)
    return Outcome(
      tensors: entries.count,
      weights: entries.filter { if case .weight = $0.content { true } else { false } }.count,
      bytes: try ReadOnlyFile(path: output).size)
  }

  private static func entry(
    _ name: String, _ model: any ImportableModel, _ part: PartFile
  ) throws -> ArtefactEntry {
    switch try model.content(of: name) {
    case .tensor(let tensor):
      if let first = tensor.sharesStorageWith {
        return ArtefactEntry(name: name, content: .tied(to: first))
      }
      let values = try model.source.load(tensor)
      let found = values.bytes.withBuffer { FloatConversion.firstNonFinite($0, as: tensor.dtype) }
      if let found {
        throw PipelineError.nonFinite(file: model.source.path, tensor: name, index: found)
      }
      let payload = PartPayload(in: part, byteCount: values.bytes.count, hashing: true)
      try values.bytes.withBuffer { bytes throws(PipelineError) in try payload.append(bytes) }
      return ArtefactEntry(
        name: name,
        content: .tensor(
          ArtefactDataset(
            path: "", dtype: tensor.dtype, shape: tensor.shape, sha256: payload.finish(),
            location: PartLocation(file: part.path, offset: payload.offset))))
    case .weight(let weight, let sourceType):
      let encoded = weight.encodedParts()
      var attributes = encoded.attributes
      attributes[ArtefactEntry.sourceTypeAttribute] = .string(sourceType.rawValue)
      return ArtefactEntry(
        name: name,
        content: .weight(
          attributes: attributes, datasets: try part.append(encoded.parts, hashing: true)))
    }
  }
}
