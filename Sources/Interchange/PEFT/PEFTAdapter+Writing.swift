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
    let tensors = modules.flatMap { Self.tensors(of: $0.name, a: $0.a, b: $0.b) }
    try Self.write(tensors, configuration: configuration(layers: layers), toFolder: folder)
  }

  /// A module's factors under the names that readers look for.
  static func tensors(of module: String, a: Tensor, b: Tensor) -> [(String, Tensor)] {
    [(prefix + module + suffixes.a, a), (prefix + module + suffixes.b, b)]
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
    return Self.configuration(
      rank: rank, base: basePath, fanInFanOut: fanInFanOut, targets: targets(layers: layers),
      adding: [
        "alpha_pattern": .object(alphaPattern), "auto_mapping": .null, "modules_to_save": .null,
        "rank_pattern": .object(rankPattern),
      ])
  }

  /// What every adapter of ours says, keys in order.
  ///
  /// Alpha is the rank: what scale a module has besides stands in B or in `alpha_pattern`.
  static func configuration(
    rank: Int, base: String?, fanInFanOut: Bool, targets: [String],
    adding others: [String: JSONValue] = [:]
  ) -> JSONValue {
    let common: [String: JSONValue] = [
      "base_model_name_or_path": base.map { .string($0) } ?? .null, "bias": "none",
      "fan_in_fan_out": JSONValue(fanInFanOut), "inference_mode": true, "init_lora_weights": true,
      "lora_alpha": JSONValue(rank), "lora_dropout": JSONValue(0.0), "peft_type": "LORA",
      "r": JSONValue(rank), "target_modules": .array(targets.map { .string($0) }),
      "task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": false,
    ]
    var object = JSONObject()
    let all = common.merging(others) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { object[key] = value }
    return .object(object)
  }

  /// Leaves' names where they mean just these modules, whole names elsewhere.
  private func targets(layers: [String]) -> [String] {
    let all = Dictionary(grouping: layers, by: Self.leaf).mapValues(\.count)
    let ours = Dictionary(grouping: modules.map(\.name), by: Self.leaf)
    return ours.flatMap { $0.value.count == all[$0.key] ? [$0.key] : $0.value }.sorted()
  }

  private static func number(_ value: Double) -> JSONValue {
    value == value.rounded() ? JSONValue(Int(value)) : JSONValue(value)
  }
}
