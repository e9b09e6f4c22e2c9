import Checkpoints
import JSONText
import Tensors
import Weights

/// Another tool's quantized folder, seen as an artefact's tensors.
///
/// Codes, scales and zero points are taken as they are: what the folder's own tool decodes is what
/// the artefact decodes.
public struct ImportedModel: ImportableModel {
  public let source: any TensorSource
  /// What the folder calls its format.
  public let format: String
  /// The artefact's tensors, in the folder's order.
  public let names: [String]
  /// config.json without what told of the format.
  public let configuration: String
  /// Texts that go along, by file name.
  public let companions: [String: String]

  public var configurationText: String? { configuration }

  private let scheme: ImportScheme
  private let plain: [String: TensorDescription]
  private let byName: [String: TensorDescription]
  private let sourceType: DType

  /// Opens a folder and finds out how its weights are kept.
  ///
  /// - Throws: `InterchangeError.unsupported` for formats and options that are not read,
  ///   `.malformed`, and `CheckpointError` of the folder.
  public init(path: String) throws {
    let source = try CheckpointOpener.open(path)
    guard let text = source.metadata.configuration,
      var config = (try? JSONParser.parse(text))?.object
    else {
      throw InterchangeError.malformed(
        path: path, item: "config.json", found: "nothing, or no JSON", expected: "an object")
    }
    guard let quantization = config["quantization_config"] else {
      throw InterchangeError.unsupported(
        path: path, what: "config.json has no quantization_config",
        advice: "'pith compress' takes a dense model; import is for quantized folders")
    }
    scheme = try ImportScheme(quantization, path: path)
    format = scheme.title
    config["quantization_config"] = nil
    configuration = JSONValue.object(config).text(.pretty) + "\n"
    var companions: [String: String] = [:]
    for (name, _) in source.metadata.companions
    where name != "config.json" && name != "quantize_config.json" {
      companions[name] = try source.metadata.companionText(named: name)
    }
    self.companions = companions
    let stated = config["dtype"]?.string ?? config["torch_dtype"]?.string
    sourceType = stated == "float16" ? .f16 : stated == "bfloat16" ? .bf16 : .f32

    byName = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
    var names: [String] = []
    var plain: [String: TensorDescription] = [:]
    let marker = scheme.marker
    let modules = Set(
      source.tensors.map(\.name).filter { $0.hasSuffix(marker) }
        .map { String($0.dropLast(marker.count)) })
    for tensor in source.tensors {
      if tensor.name.hasSuffix(marker) {
        names.append(String(tensor.name.dropLast(marker.count)) + ".weight")
        continue
      }
      let module = String(
        tensor.name.prefix(upTo: tensor.name.lastIndex(of: ".") ?? tensor.name.endIndex))
      // Scales, zero points and the like went with their codes.
      if modules.contains(module), !tensor.name.hasSuffix(".bias") { continue }
      names.append(tensor.name)
      plain[tensor.name] = tensor
    }
    self.names = names
    self.plain = plain
    self.source = source
  }

  /// One of `names`.
  ///
  /// - Throws: `InterchangeError.malformed` when a part is missing or has the wrong size.
  public func content(of name: String) throws -> ImportedContent {
    if let tensor = plain[name] { return .tensor(tensor) }
    let parts = ImportParts(
      module: String(name.dropLast(".weight".count)), source: source, byName: byName)
    return .weight(try scheme.weight(parts), sourceType: sourceType)
  }
}

/// The tensors of one module in another tool's folder.
struct ImportParts {
  let module: String
  let source: any TensorSource
  let byName: [String: TensorDescription]

  func has(_ part: String) -> Bool { byName[module + part] != nil }

  func shape(_ part: String) throws -> [Int] { try described(part).shape.dimensions }

  /// A part's 32-bit words, of a shape.
  func words(_ part: String, shape: [Int]) throws -> [UInt32] {
    try load(part, types: [.i32, .u32], shape: shape).bytes.array(of: UInt32.self)
  }

  /// A part that holds numbers, of a shape.
  func floats(_ part: String, count: Int) throws -> (values: [Float], dtype: DType) {
    let description = try described(part)
    guard description.shape.elementCount == count, description.dtype.isFloatingPoint else {
      throw malformed(part, description, "\(count) floating-point numbers")
    }
    return (try source.load(description).floats(), description.dtype)
  }

  func integers(_ part: String, count: Int) throws -> [Int] {
    let description = try described(part)
    guard description.shape.elementCount == count else {
      throw malformed(part, description, "\(count) integers")
    }
    let tensor = try source.load(description)
    switch description.dtype {
    case .i32: return tensor.bytes.array(of: Int32.self).map(Int.init)
    case .i64: return tensor.bytes.array(of: Int64.self).map(Int.init)
    default: throw malformed(part, description, "32- or 64-bit integers")
    }
  }

  private func load(_ part: String, types: [DType], shape: [Int]) throws -> Tensor {
    let description = try described(part)
    guard types.contains(description.dtype), description.shape.dimensions == shape else {
      throw malformed(part, description, "\(types[0].rawValue) of \(shape)")
    }
    return try source.load(description)
  }

  private func described(_ part: String) throws(InterchangeError) -> TensorDescription {
    guard let tensor = byName[module + part] else {
      throw .malformed(
        path: source.path, item: module + part, found: "nothing", expected: "a tensor")
    }
    return tensor
  }

  private func malformed(
    _ part: String, _ found: TensorDescription, _ expected: String
  ) -> InterchangeError {
    .malformed(
      path: source.path, item: module + part,
      found: "\(found.dtype.rawValue) of \(found.shape.dimensions)", expected: expected)
  }
}
