import Checkpoints
import Foundation
import Recipes
import Tensors
import TestSupport

@testable import Pipeline

/// A checkpoint in memory.
struct MemorySource: TensorSource {
  var path = "memory"
  var format = "memory"
  var tensors: [TensorDescription] = []
  var metadata = CheckpointMetadata()
  private var values: [String: Tensor] = [:]
  /// Called before every read; may stop a run or fail.
  var beforeReading: @Sendable (String, Range<Int>) throws(CheckpointError) -> Void = { _, _ in }

  mutating func add(
    _ name: String, _ tensor: Tensor, attributes: [String: AttributeValue] = [:],
    tiedTo: String? = nil
  ) {
    values[name] = tensor
    tensors.append(
      TensorDescription(
        name: name, dtype: tensor.dtype, shape: tensor.shape, storage: .encoded("memory"),
        sharesStorageWith: tiedTo, attributes: attributes))
  }

  /// Adds normal values in a type.
  mutating func add(
    _ name: String, _ shape: Shape, _ dtype: DType = .f32,
    attributes: [String: AttributeValue] = [:], tiedTo: String? = nil
  ) throws {
    add(
      name, try Self.random(shape, dtype, seed: UInt64(tensors.count)), attributes: attributes,
      tiedTo: tiedTo)
  }

  static func random(_ shape: Shape, _ dtype: DType, seed: UInt64 = 0) throws -> Tensor {
    let values = Philox(seed: seed).normals(count: shape.elementCount, purpose: .sampling)
    switch dtype {
    case .f64: return Tensor(dtype: dtype, shape: shape, array: values.map { Double($0) * 1.1 })
    case .f32: return Tensor(dtype: dtype, shape: shape, array: values)
    case .f16, .bf16:
      return try Tensor(
        dtype: dtype, shape: shape,
        bytes: Bytes(count: shape.elementCount * 2) { target in
          try values.withUnsafeBufferPointer {
            try FloatConversion.encode($0, as: dtype, into: target)
          }
        })
    default:
      let bytes = (0..<shape.elementCount * dtype.bytes).map { UInt8(truncatingIfNeeded: $0) }
      return try Tensor(dtype: dtype, shape: shape, bytes: Bytes(bytes))
    }
  }

  func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try beforeReading(tensor.name, rows)
    guard let bytes = values[tensor.name]?.bytes else { return }
    let start = rows.lowerBound * tensor.rowByteCount
    bytes.withBuffer {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + target.count]))
    }
  }

  func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? { nil }
}

/// What tests of the pipeline say again and again.
enum Sample {
  static let w4 = "  - quantize: {method: rtn, bits: 4, group: 32, clip: none}"

  static func recipe(_ stages: String = w4, _ rest: String = "") throws -> Recipe {
    try RecipeParser.parse(
      text: "version: 1\nname: t\nstages:\n\(stages)\n\(rest)\n", file: "t.yaml")
  }

  static func plan(
    _ recipe: Recipe, _ source: some TensorSource, memory: Int? = nil, workers: Int = 1
  ) throws -> Plan {
    try Planner.plan(
      recipe, for: source,
      options: PlanOptions(memoryLimit: memory, workers: workers, durable: false))
  }

  static let tool = ToolIdentity(version: "1", fingerprint: "f")

  /// The sentence of whatever a body throws.
  static func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "accepted"
    } catch { return "\(error)" }
  }
}
