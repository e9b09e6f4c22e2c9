import Checkpoints
import JSONText
import Tensors
import Weights

/// Another tool's quantized model, seen as an artefact's tensors.
///
/// Codes, scales and zero points are taken as they are, and so are a GGUF file's blocks: what the
/// model's own tool decodes is what the artefact decodes.
public struct ImportedModel: ImportableModel {
  public let source: any TensorSource
  /// What the model's format is called.
  public let format: String
  /// The artefact's tensors, in the model's order.
  public let names: [String]
  /// config.json without what told of the format.
  public let configuration: String
  /// Texts that go along, by file name.
  public let companions: [String: String]
  public let warnings: [String]

  public var configurationText: String? { configuration }

  /// How weights are kept.
  private enum Layout: Sendable {
    case folder(ImportScheme, sourceType: DType)
    case file(GGUFCheckpoint)
  }

  private let layout: Layout
  /// Modules with scales of keys or values, and what those are for.
  private let attention: Set<String>
  private let keyValueFormat: KeyValueScales.Format?
  private let layers: Int?
  private let plain: [String: TensorDescription]
  private let byName: [String: TensorDescription]
  /// What the parts of a module of a folder take.
  private let partBytes: [String: Int]

  /// Opens a folder or a GGUF file and finds out how its weights are kept.
  ///
  /// - Throws: `InterchangeError.unsupported` for formats and options that are not read,
  ///   `.malformed`, and `CheckpointError` of the folder or file.
  public init(path: String) throws {
    let source = try CheckpointOpener.open(path)
    if let file = source as? GGUFCheckpoint {
      try self.init(file: file)
    } else {
      try self.init(folder: source)
    }
  }

  private init(file: GGUFCheckpoint) throws {
    guard let configuration = file.metadata.configuration else {
      throw InterchangeError.unsupported(
        path: file.path,
        what: "architecture '\(file.file["general.architecture"]?.string ?? "none")', or a number "
          + "that it needs is missing",
        advice: "llama, qwen2, qwen3 and gpt2 are read")
    }
    source = file
    format = "GGUF"
    self.configuration = configuration
    companions = file.metadata.strings.filter { $0.key.hasSuffix(".json") }
    warnings =
      companions["tokenizer.json"] == nil
      ? ["the file's tokenizer is not read: give --tokenizer to what needs one"] : []
    byName = Dictionary(file.tensors.map { ($0.name, $0) }) { first, _ in first }
    names = file.tensors.map(\.name)
    plain = byName.filter { !file.holdsBlocks($0.value) }
    layout = .file(file)
    partBytes = [:]
    (attention, keyValueFormat, layers) = ([], nil, nil)
  }

  private init(folder source: any TensorSource) throws {
    guard let text = source.metadata.configuration,
      var config = (try? JSONParser.parse(text))?.object
    else {
      throw InterchangeError.malformed(
        path: source.path, item: "config.json", found: "nothing, or no JSON",
        expected: "an object")
    }
    guard let quantization = config["quantization_config"] else {
      throw InterchangeError.unsupported(
        path: source.path, what: "config.json has no quantization_config",
        advice: "'pith compress' takes a dense model; import is for quantized ones")
    }
    let scheme = try ImportScheme(quantization, path: source.path)
    format = scheme.title
    warnings = scheme.warnings
    config["quantization_config"] = nil
    configuration = JSONValue.object(config).text(.pretty) + "\n"
    var companions: [String: String] = [:]
    for (name, _) in source.metadata.companions
    where name != "config.json" && name != "quantize_config.json" {
      companions[name] = try source.metadata.companionText(named: name)
    }
    self.companions = companions
    let stated = config["dtype"]?.string ?? config["torch_dtype"]?.string
    let sourceType: DType =
      stated == "float16" ? .f16 : stated == "bfloat16" ? .bf16 : .f32
    layout = .folder(scheme, sourceType: sourceType)

    byName = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
    var names: [String] = []
    var plain: [String: TensorDescription] = [:]
    let modules = Set(
      source.tensors.compactMap { tensor in
        scheme.markers.first { tensor.name.hasSuffix($0) }.map {
          String(tensor.name.dropLast($0.count))
        }
      })
    var seen = Set<String>()
    var attention = Set<String>()
    var partBytes: [String: Int] = [:]
    for tensor in source.tensors {
      let (module, part) = Self.split(tensor.name)
      partBytes[module, default: 0] += tensor.byteCount
      if CompressedTensorsKeyValues.parts.contains(part) {
        if part == "k_scale" || part == "v_scale" { attention.insert(module) }
        continue
      }
      guard modules.contains(module), part != "bias" else {
        names.append(tensor.name)
        plain[tensor.name] = tensor
        continue
      }
      // Scales, zero points and the like went with their codes.
      if seen.insert(module).inserted { names.append(module + ".weight") }
    }
    self.names = names
    self.plain = plain
    self.source = source
    self.attention = attention
    self.partBytes = partBytes
    if case .compressedTensors(let groups) = scheme.kind, let format = groups.keyValues {
      keyValueFormat = format
    } else {
      keyValueFormat = nil
    }
    layers = config["num_hidden_layers"]?.int ?? config["n_layer"]?.int
  }

  public func keyValueScales() throws -> KeyValueScales? {
    guard let keyValueFormat else { return nil }
    return try CompressedTensorsKeyValues.scales(
      keyValueFormat, modules: attention, layers: layers, path: source.path
    ) { ImportParts(module: $0, source: source, byName: byName) }
  }

  /// "a.b.weight" → ("a.b", "weight").
  private static func split(_ name: String) -> (module: String, part: String) {
    guard let dot = name.lastIndex(of: ".") else { return (name, "") }
    return (String(name[..<dot]), String(name[name.index(after: dot)...]))
  }

  public func workingBytes(of name: String) -> Int {
    if let tensor = plain[name] { return tensor.byteCount }
    switch layout {
    case .folder:
      let module = String(name.dropLast(".weight".count))
      // Codes of 2 bits, one a byte, beside the words that they came in and go out as.
      return 8 * (partBytes[module] ?? 0)
    // Blocks in another order of rows, and as parts: less than their values in f32.
    case .file: return byName[name]?.byteCount ?? 0
    }
  }

  /// One of `names`.
  ///
  /// - Throws: `InterchangeError.malformed` when a part is missing or has the wrong size.
  public func content(of name: String) throws -> ImportedContent {
    if let tensor = plain[name] { return .tensor(tensor) }
    switch layout {
    case .folder(let scheme, let sourceType):
      let parts = ImportParts(
        module: String(name.dropLast(".weight".count)), source: source, byName: byName)
      return .weight(try scheme.weight(parts), sourceType: sourceType)
    case .file(let file):
      guard let tensor = byName[name] else { preconditionFailure("'\(name)' is no name of this") }
      return .weight(try Self.blocks(of: tensor, in: file), sourceType: .f32)
    }
  }

  /// A matrix of a GGUF file as the blocks that it is.
  private static func blocks(
    of tensor: TensorDescription, in file: GGUFCheckpoint
  ) throws -> CompressedWeight {
    guard let found = try file.blocks(of: tensor), let format = BlockFormat(found.type) else {
      preconditionFailure("'\(tensor.name)' holds no blocks")
    }
    let view = WeightView(
      sourceShape: tensor.shape, layout: found.isTransposed ? .outputsLast : .outputsFirst)
    let weight = CompressedWeight(
      view: view,
      base: .blocks(
        BlockBase(
          format: format, rows: found.rows, columns: found.columns,
          blocks: try Tensor(
            dtype: .u8, shape: [found.rows, found.bytes.count / max(found.rows, 1)],
            bytes: found.bytes))))
    do {
      try weight.validate()
    } catch {
      throw InterchangeError.malformed(
        path: file.path, item: "'\(tensor.name)'", found: "\(error)",
        expected: "blocks of finite numbers")
    }
    return weight
  }
}
