import Checkpoints
import Foundation
import Tensors
import Weights

/// A dense model with a LoRA adapter of `peft` beside it: every module's factors become the
/// low-rank path of its weight, whose base stays what it was.
///
/// The adapter's scale (alpha over the rank or its root, by pattern or for all) becomes the path's.
public struct AdaptedModel: ImportableModel {
  public let source: any TensorSource
  public let format = "PEFT"
  public let names: [String]
  public let companions: [String: String]
  public let warnings: [String]
  private let adapter: PEFTAdapter
  private let modules: [String: PEFTAdapter.Module]
  private let byName: [String: TensorDescription]

  public var configurationText: String? { source.metadata.configuration }

  /// Whether a folder holds an adapter.
  public static func isAdapter(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: folder + "/" + PEFTAdapter.configurationName)
  }

  /// - Throws: `InterchangeError.unsupported` for a module that the model has no weight for, or one
  ///   that shares its storage with another.
  public init(_ adapter: PEFTAdapter, base source: any TensorSource) throws {
    self.adapter = adapter
    self.source = source
    names = source.tensors.map(\.name)
    byName = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
    modules = Dictionary(adapter.modules.map { ($0.weightName, $0) }) { first, _ in first }
    var companions: [String: String] = [:]
    for (name, _) in source.metadata.companions where name != "config.json" {
      // A companion that is no text (tokenizer.model) has no place in an artefact.
      companions[name] = try? source.metadata.companionText(named: name)
    }
    self.companions = companions
    warnings = source.metadata.companions.keys.sorted()
      .filter { $0 != "config.json" && companions[$0] == nil }
      .map { "\($0) is no text and is left out" }
    try adapter.checkTargets(
      names: Set(names), tied: Set(source.tensors.compactMap(\.sharesStorageWith)), of: source.path)
  }

  public func workingBytes(of name: String) -> Int { 2 * (byName[name]?.byteCount ?? 0) }

  public func content(of name: String) throws -> ImportedContent {
    guard let tensor = byName[name] else {
      throw InterchangeError.malformed(
        path: source.path, item: name, found: "nothing", expected: "a tensor")
    }
    guard let module = modules[name] else { return .tensor(tensor) }
    let weight = try adapter.adapted(
      try source.load(tensor), module, name: name, path: source.path)
    return .weight(weight, sourceType: tensor.dtype)
  }
}

extension PEFTAdapter.Module {
  /// The tensor that the module adapts.
  public var weightName: String { name + ".weight" }
}

extension PEFTAdapter {
  /// Makes sure that every module has a weight of its own in a model.
  ///
  /// - Throws: `InterchangeError.unsupported`.
  public func checkTargets(
    names: Set<String>, tied: Set<String>, of path: String
  ) throws(InterchangeError) {
    for module in modules {
      guard names.contains(module.weightName) else {
        throw .unsupported(
          path: path,
          what: "the adapter's module '\(module.name)' has no '\(module.weightName)' here",
          advice: "give the model that it was made for with --base")
      }
      guard !tied.contains(module.weightName) else {
        throw .unsupported(
          path: path, what: "'\(module.weightName)' is shared with another tensor",
          advice:
            "a path on one would change both; merge the adapter with peft and compress the result")
      }
    }
  }

  /// A plain tensor as a weight with a module's path.
  ///
  /// - Throws: `InterchangeError.malformed` for factors of other sizes; `WeightsError`.
  public func adapted(
    _ tensor: Tensor, _ module: Module, name: String, path: String
  ) throws -> CompressedWeight {
    guard tensor.shape.rank == 2 else {
      throw InterchangeError.malformed(
        path: path, item: name, found: "\(tensor.shape.dimensions)", expected: "a matrix")
    }
    let view = WeightView(
      sourceShape: tensor.shape, layout: fanInFanOut ? .outputsLast : .outputsFirst)
    let type: DType = [.f32, .f16, .bf16].contains(tensor.dtype) ? tensor.dtype : .f32
    return try adapted(
      .dense(view.matrix(from: tensor.floats()), view: view, as: type), module, name: name,
      path: path)
  }

  /// A weight with a module's path beside what it has.
  ///
  /// The adapter reads the original inputs; where the weight reads transformed ones, A is turned the
  /// same way, in f32.
  ///
  /// - Throws: `InterchangeError.malformed` for factors of other sizes; `WeightsError`.
  public func adapted(
    _ weight: CompressedWeight, _ module: Module, name: String, path: String
  ) throws -> CompressedWeight {
    guard module.b.shape.dimensions[0] == weight.rows,
      module.a.shape.dimensions[1] == weight.columns
    else {
      throw InterchangeError.malformed(
        path: path, item: name,
        found: "\(weight.rows) × \(weight.columns) (out × in)",
        expected: "\(module.b.shape.dimensions[0]) × \(module.a.shape.dimensions[1]), which the "
          + "adapter's factors are made for")
    }
    var added = module.path
    if let site = weight.site, !site.transforms.isEmpty {
      var a = added.a.decoded()
      site.unfold(&a)
      added.a = .dense(a)
    }
    var result = weight
    result.lowRank.append(added)
    try result.validate()
    return result
  }
}
