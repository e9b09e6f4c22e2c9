import Checkpoints
import Foundation
import JSONText
import Tensors

extension PEFTAdapter {
  /// Reads an adapter's folder.
  ///
  /// Scales come from `lora_alpha`, `alpha_pattern`, `rank_pattern` and `use_rslora` as `peft` reads
  /// them: a module of another rank without an alpha of its own has alpha / its rank. An alpha that
  /// is missing is 8, as there.
  ///
  /// - Parameter residual: whether an adapter over a residual base, whose start `peft` would compute
  ///   again on loading, is read all the same: its factors, to be converted.
  /// - Throws: `InterchangeError.malformed`, `.unsupported` (DoRA, biases, embeddings, other kinds of
  ///   adapters, and residual ones), `CheckpointError`.
  public init(folder: String, allowingResidual residual: Bool = false) throws {
    let path = folder + "/" + Self.configurationName
    guard let data = FileManager.default.contents(atPath: path),
      let object = (try? JSONParser.parse(String(decoding: data, as: UTF8.self)))?.object
    else {
      throw InterchangeError.malformed(
        path: path, item: "the file", found: "nothing readable", expected: "a JSON object")
    }
    try Self.check(object, allowingResidual: residual, path: path)
    let source = try SafetensorsSource(path: folder + "/" + Self.weightsName)
    var found: [String: (a: Tensor?, b: Tensor?)] = [:]
    var order: [String] = []
    for tensor in source.tensors {
      guard let (name, isA) = Self.module(of: tensor.name), tensor.shape.rank == 2 else {
        throw InterchangeError.unsupported(
          path: source.path, what: "tensor '\(tensor.name)' is no factor of a linear layer",
          advice: "only lora_A and lora_B of linear layers are read; merge the adapter elsewhere")
      }
      if found[name] == nil { order.append(name) }
      let value = try source.load(tensor)
      if isA {
        found[name, default: (nil, nil)].a = value
      } else {
        found[name, default: (nil, nil)].b = value
      }
    }
    var modules: [Module] = []
    for name in order {
      guard let a = found[name]?.a, let b = found[name]?.b,
        a.shape.dimensions[0] == b.shape.dimensions[1], a.shape.dimensions[0] > 0
      else {
        throw InterchangeError.malformed(
          path: source.path, item: "module '\(name)'", found: "factors that do not fit each other",
          expected: "lora_A (r × in) and lora_B (out × r)")
      }
      let scale = try Self.scale(of: name, rank: a.shape.dimensions[0], object, path: path)
      modules.append(Module(name: name, a: a, b: b, scale: scale))
    }
    self.init(
      modules: modules, fanInFanOut: object["fan_in_fan_out"] == true,
      basePath: object["base_model_name_or_path"]?.string)
  }

  /// "base_model.model.x.lora_A.weight" → ("x", true).
  private static func module(of tensor: String) -> (name: String, isA: Bool)? {
    guard tensor.hasPrefix(prefix) else { return nil }
    for (suffix, isA) in [(suffixes.a, true), (suffixes.b, false)] where tensor.hasSuffix(suffix) {
      return (String(tensor.dropFirst(prefix.count).dropLast(suffix.count)), isA)
    }
    return nil
  }

  private static func check(
    _ object: JSONObject, allowingResidual: Bool, path: String
  ) throws(InterchangeError) {
    func refuse(_ what: String, _ advice: String) -> InterchangeError {
      .unsupported(path: path, what: what, advice: advice)
    }
    if let type = object["peft_type"]?.string, type != "LORA" {
      throw refuse("peft_type is '\(type)'", "only LORA adapters are read")
    }
    if object["use_dora"] == true {
      throw refuse("the adapter uses DoRA", "merge it with peft and compress the result")
    }
    if object["lora_bias"] == true || (object["bias"]?.string ?? "none") != "none" {
      throw refuse("the adapter changes biases", "merge it with peft and compress the result")
    }
    if let modules = object["modules_to_save"]?.array, !modules.isEmpty {
      throw refuse(
        "modules_to_save replaces whole layers", "merge it with peft and compress the result")
    }
    if let start = object["init_lora_weights"]?.string, !allowingResidual {
      let residual = ["pissa", "olora", "corda", "loftq", "lora_ga"]
      if residual.contains(where: { start.hasPrefix($0) }) {
        throw refuse(
          "init_lora_weights is '\(start)': the base would be decomposed again",
          "convert the adapter to a plain one ('pith merge adapter', with the initial factors)"
        )
      }
    }
  }

  private static func scale(
    of name: String, rank: Int, _ object: JSONObject, path: String
  ) throws(InterchangeError) -> Double {
    var alpha = object["lora_alpha"]?.double ?? 8
    for (key, value) in object["alpha_pattern"]?.object?.members ?? [] {
      guard matches(key, name) else { continue }
      guard let number = value.double else {
        throw .malformed(
          path: path, item: "alpha_pattern['\(key)']", found: value.text(), expected: "a number")
      }
      alpha = number
      break
    }
    return alpha / (object["use_rslora"] == true ? Double(rank).squareRoot() : Double(rank))
  }

  /// As `peft` matches: the key, a regular expression, is the name or the end of it after a dot.
  private static func matches(_ key: String, _ name: String) -> Bool {
    if name == key || name.hasSuffix("." + key) { return true }
    guard let expression = try? Regex("(.*\\.)?(\(key))") else { return false }
    return (try? expression.wholeMatch(in: name)) ?? nil != nil
  }
}
