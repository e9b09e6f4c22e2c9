import Foundation
import JSONText
import Tensors

/// Low-rank paths beside GPTQ weights, as GPTQModel loads an EoRA adapter (low-rank.md, §15.3).
///
/// GPTQModel adds (x·Aᵀ)·Bᵀ and takes no scale: B carries it. All modules have one rank, `r` of the
/// configuration, as its loader wants; smaller ones are filled with zeros, since the readers that go
/// by `rank_pattern` scale such a module by the ratio of the ranks. Modules' names are lower-cased, as
/// its loader does before it compares.
public struct EoRAAdapter: Sendable {
  /// The adapter's folder inside the export.
  public static let folder = "eora"

  public var modules: [PEFTAdapter.Module] = []

  /// Writes the adapter's folder into a folder that is there.
  ///
  /// - Parameter model: the path that the model's folder will have.
  func write(inFolder parent: String, of model: String) throws {
    let folder = parent + "/" + Self.folder
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let rank = modules.map(\.rank).max() ?? 0
    let tensors = try modules.flatMap { module in
      let name = PEFTAdapter.prefix + module.name.lowercased()
      return [
        (name + PEFTAdapter.suffixes.a, try Self.padded(a: module, rank: rank)),
        (name + PEFTAdapter.suffixes.b, try Self.padded(b: module, rank: rank)),
      ]
    }
    try PEFTAdapter.write(
      tensors, configuration: configuration(rank: rank, model: model), toFolder: folder)
  }

  private func configuration(rank: Int, model: String) -> JSONValue {
    let leaves = Set(
      modules.map { $0.name.split(separator: ".").last.map(String.init) ?? $0.name })
    return [
      "base_model_name_or_path": .string(model), "bias": "none", "fan_in_fan_out": false,
      "inference_mode": true, "init_lora_weights": true, "lora_alpha": JSONValue(rank),
      "lora_dropout": JSONValue(0.0), "peft_type": "LORA", "r": JSONValue(rank),
      "target_modules": .array(leaves.sorted().map { .string($0) }), "task_type": "CAUSAL_LM",
      "use_dora": false, "use_rslora": false,
    ]
  }

  /// A with rows of zeros below.
  private static func padded(a module: PEFTAdapter.Module, rank: Int) throws -> Tensor {
    let columns = module.a.shape.dimensions[1]
    let values = module.a.floats()
    return try half(
      values + [Float](repeating: 0, count: rank * columns - values.count), [rank, columns])
  }

  /// s·B with columns of zeros to the right.
  private static func padded(b module: PEFTAdapter.Module, rank: Int) throws -> Tensor {
    let (rows, own) = (module.b.shape.dimensions[0], module.rank)
    let values = module.b.floats()
    var result = [Float](repeating: 0, count: rows * rank)
    for row in 0..<rows {
      for column in 0..<own {
        result[row * rank + column] = values[row * own + column] * Float(module.scale)
      }
    }
    return try half(result, [rows, rank])
  }

  /// f16 where that is exact, which GPTQModel wants, else f32, which it takes with a warning.
  private static func half(_ values: [Float], _ shape: Shape) throws -> Tensor {
    let whole = Tensor(dtype: .f32, shape: shape, array: values)
    guard let bytes = try? PlainValues.bytes(values, as: .f16) else { return whole }
    let tensor = try Tensor(dtype: .f16, shape: shape, bytes: bytes)
    return tensor.floats() == values ? tensor : whole
  }
}
