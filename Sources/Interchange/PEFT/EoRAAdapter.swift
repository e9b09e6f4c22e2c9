import Foundation
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
      PEFTAdapter.tensors(
        of: module.name.lowercased(), a: try Self.padded(a: module, rank: rank),
        b: try Self.padded(b: module, rank: rank))
    }
    let configuration = PEFTAdapter.configuration(
      rank: rank, base: model, fanInFanOut: false, targets: Set(modules.map(\.leaf)).sorted())
    try PEFTAdapter.write(tensors, configuration: configuration, toFolder: folder)
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
