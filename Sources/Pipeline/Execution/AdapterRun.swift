import Artefacts
import Checkpoints
import Interchange
import LinearAlgebra
import LowRank
import Tensors

/// Adapters of `peft` in an artefact, and adapters made of adapters.
public enum AdapterRun {
  /// Puts an adapter's factors beside the weights of an artefact, whatever they are stored as.
  ///
  /// - Returns: how many modules found their weight, which is all of them.
  /// - Throws: `InterchangeError`, `ArtefactError`, `WeightsError`, `PipelineError`.
  @discardableResult
  public static func add(
    _ adapter: PEFTAdapter, to artefact: ArtefactFile, output: String, workers: Int,
    memoryLimit: Int? = nil, durable: Bool = true
  ) throws -> Int {
    var tied: Set<String> = []
    var needs: [(name: String, bytes: Int)] = []
    for name in artefact.names {
      let content = try artefact.content(of: name)
      if let first = content.tiedTo { tied.formUnion([name, first]) }
      // One at a time: as it is read, and as its parts.
      needs.append((name, 8 * content.sourceShape.elementCount))
    }
    try TransferMemory.check(limit: memoryLimit, needs: needs)
    try adapter.checkTargets(names: Set(artefact.names), tied: tied, of: artefact.path)
    let modules = Dictionary(adapter.modules.map { ($0.weightName, $0) }) { first, _ in first }
    try ArtefactRewrite.run(artefact, output: output, workers: workers, durable: durable) {
      name, content in
      guard let module = modules[name] else { return content.kind }
      return switch content.kind {
      case .tensor(let tensor):
        .weight(try adapter.adapted(tensor, module, name: name, path: artefact.path))
      case .weight(let weight):
        .weight(try adapter.adapted(weight, module, name: name, path: artefact.path))
      }
    }
    return modules.count
  }

  /// A trained residual adapter (PiSSA, CorDA, OLoRA) as a plain LoRA of twice the rank on the
  /// original model: ΔW = s·(B·A − B₀·A₀).
  ///
  /// - Parameter initial: the adapter as it was before training; the very factors, not new ones.
  /// - Throws: `InterchangeError.malformed` for modules that the two do not share, or for scales that
  ///   differ; `LowRankError.factorsDisagree`.
  public static func plain(
    trained: PEFTAdapter, initial: PEFTAdapter, path: String
  ) throws -> PEFTAdapter {
    func malformed(_ item: String, _ found: String, _ expected: String) -> InterchangeError {
      .malformed(path: path, item: item, found: found, expected: expected)
    }
    let starts = Dictionary(initial.modules.map { ($0.name, $0) }) { first, _ in first }
    for module in initial.modules where !trained.modules.contains(where: { $0.name == module.name })
    {
      throw malformed("module '\(module.name)'", "nothing", "the trained factors of every module")
    }
    let modules = try trained.modules.map { module in
      guard let start = starts[module.name] else {
        throw malformed(
          "module '\(module.name)'", "no initial factors", "those it was trained from")
      }
      guard start.scale == module.scale else {
        throw malformed(
          "the scale of '\(module.name)'", "\(start.scale) at first, \(module.scale) trained",
          "one scale")
      }
      let plain = try AdapterConversion.plain(
        initial: start.factors, trained: module.factors)
      return PEFTAdapter.Module(
        name: module.name,
        a: Tensor(dtype: .f32, shape: [plain.a.rows, plain.a.columns], array: plain.a.values),
        b: Tensor(dtype: .f32, shape: [plain.b.rows, plain.b.columns], array: plain.b.values),
        scale: module.scale)
    }
    return PEFTAdapter(modules: modules, fanInFanOut: trained.fanInFanOut)
  }
}

extension PEFTAdapter.Module {
  fileprivate var factors: ThinFactors<Float> {
    ThinFactors(b: path.b.decoded(), a: path.a.decoded(), scale: scale)
  }
}
