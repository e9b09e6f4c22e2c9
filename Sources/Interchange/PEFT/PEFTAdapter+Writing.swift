import Checkpoints
import Foundation
import JSONText
import Tensors

extension PEFTAdapter {
  /// Writes adapter_config.json and adapter_model.safetensors into a folder that is there.
  ///
  /// `r` is the most frequent rank; modules of another rank stand in `rank_pattern` and, with an
  /// alpha that keeps their scale, in `alpha_pattern`: readers that find only the first apply
  /// them at another scale. `init_lora_weights` is true: with "pissa" there the decomposition would be
  /// done again on the residual when the adapter is loaded.
  ///
  /// - Parameter layers: the names of all linear layers of the model, so that a leaf's name stands
  ///   in `target_modules` only where every layer of that name is meant.
  /// - Throws: `CheckpointError`.
  public func write(toFolder folder: String, layers: [String]) throws {
    let tensors = modules.flatMap { module in
      [
        (Self.prefix + module.name + Self.suffixes.a, module.a),
        (Self.prefix + module.name + Self.suffixes.b, module.b),
      ]
    }
    try Self.write(tensors, configuration: configuration(layers: layers), toFolder: folder)
  }

  /// Writes an adapter's two files into a folder that is there.
  static func write(
    _ tensors: [(String, Tensor)], configuration: JSONValue, toFolder folder: String
  ) throws {
    let sink = try SafetensorsSink(
      path: folder + "/" + weightsName,
      tensors: tensors.map {
        TensorDescription(name: $0.0, dtype: $0.1.dtype, shape: $0.1.shape, storage: .empty)
      }, strings: ["format": "pt"])
    for (name, tensor) in tensors {
      try tensor.bytes.withBuffer { bytes throws(CheckpointError) in
        try sink.write(bytes, to: name, at: 0)
      }
    }
    try sink.finish()
    let text = configuration.text(.pretty) + "\n"
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + configurationName))
  }

  /// What adapter_config.json says.
  func configuration(layers: [String]) -> JSONValue {
    let ranks = Dictionary(grouping: modules, by: \.rank).mapValues(\.count)
    let rank = ranks.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 8
    var (rankPattern, alphaPattern) = (JSONObject(), JSONObject())
    for module in modules where module.rank != rank || module.scale != 1 {
      if module.rank != rank { rankPattern[module.name] = JSONValue(module.rank) }
      alphaPattern[module.name] = Self.number(module.scale * Double(module.rank))
    }
    var object = JSONObject()
    object["alpha_pattern"] = .object(alphaPattern)
    object["auto_mapping"] = .null
    object["base_model_name_or_path"] = basePath.map { .string($0) } ?? .null
    object["bias"] = "none"
    object["fan_in_fan_out"] = JSONValue(fanInFanOut)
    object["inference_mode"] = true
    object["init_lora_weights"] = true
    object["lora_alpha"] = JSONValue(rank)
    object["lora_dropout"] = JSONValue(0.0)
    object["modules_to_save"] = .null
    object["peft_type"] = "LORA"
    object["r"] = JSONValue(rank)
    object["rank_pattern"] = .object(rankPattern)
    object["target_modules"] = .array(targets(layers: layers).map { .string($0) })
    object["task_type"] = "CAUSAL_LM"
    object["use_dora"] = false
    object["use_rslora"] = false
    return .object(object)
  }

  /// Leaves' names where they mean just these modules, whole names elsewhere.
  private func targets(layers: [String]) -> [String] {
    func leaf(_ name: String) -> String {
      name.split(separator: ".").last.map(String.init) ?? name
    }
    let all = Dictionary(grouping: layers, by: leaf).mapValues(\.count)
    let ours = Dictionary(grouping: modules.map(\.name), by: leaf)
    return ours.flatMap { $0.value.count == all[$0.key] ? [$0.key] : $0.value }.sorted()
  }

  private static func number(_ value: Double) -> JSONValue {
    value == value.rounded() ? JSONValue(Int(value)) : JSONValue(value)
  }
}
