import Architectures
import JSONText
import Tensors
import Weights

/// Stored scales of keys and values in compressed-tensors' words: `kv_cache_scheme`, and `k_scale` and
/// `v_scale` beside a layer's projections.
enum CompressedTensorsKeyValues {
  /// What a module's scales are called; `q_scale` belongs to a scheme of attention, which is not read.
  static let parts: Set<String> = [
    "k_scale", "v_scale", "q_scale", "k_zero_point", "v_zero_point",
  ]

  /// `kv_cache_scheme`.
  static func arguments(_ format: KeyValueScales.Format) -> JSONValue {
    [
      "num_bits": 8, "type": .string(format == .int8 ? "int" : "float"), "symmetric": true,
      "strategy": "tensor", "group_size": nil, "dynamic": false,
    ]
  }

  /// The scales as tensors of the modules that hold the projections of keys and values.
  ///
  /// - Throws: `InterchangeError.modelNotPossible` when they are for another number of layers.
  static func tensors(
    _ scales: KeyValueScales, _ model: ModelDescription, path: String
  ) throws(InterchangeError) -> [ExportTensor] {
    guard scales.layers.count == model.blocks.count else {
      throw .modelNotPossible(
        path: path, format: "compressed-tensors",
        reason: "it has scales of keys and values for \(scales.layers.count) layers and "
          + "\(model.blocks.count) blocks")
    }
    return zip(model.blocks, scales.layers).flatMap { block, layer in
      let projection =
        switch block.projections {
        case .separate(_, let key, _): key.weight
        case .fused(let linear): linear.weight
        }
      let module = parent(of: parent(of: projection))
      return [
        ExportTensor(module + ".k_scale", .f32, [1]) { Bytes([layer.key]) },
        ExportTensor(module + ".v_scale", .f32, [1]) { Bytes([layer.value]) },
      ]
    }
  }

  /// The format of a folder's scheme; nil for one that is not known here.
  static func format(_ arguments: JSONValue) -> KeyValueScales.Format? {
    guard arguments["num_bits"]?.int ?? 8 == 8, arguments["symmetric"]?.bool ?? true,
      arguments["dynamic"]?.bool ?? false == false,
      arguments["strategy"]?.string ?? "tensor" == "tensor"
    else { return nil }
    switch arguments["type"]?.string ?? "int" {
    case "int": return .int8
    case "float": return .fp8E4M3
    default: return nil
    }
  }

  /// A folder's scales, layers in the order of the numbers in their names.
  ///
  /// - Parameter modules: those that have a `k_scale` or a `v_scale`.
  /// - Throws: `InterchangeError.malformed` for scales that are missing, misshaped or no positive
  ///   numbers, and for layers that are not numbered from 0 without gaps.
  static func scales(
    _ format: KeyValueScales.Format, modules: Set<String>, layers: Int?, path: String,
    parts: (String) -> ImportParts
  ) throws -> KeyValueScales {
    func malformed(_ item: String, _ found: String, _ expected: String) -> InterchangeError {
      .malformed(path: path, item: item, found: found, expected: expected)
    }
    var byLayer: [Int: KeyValueScales.Layer] = [:]
    for module in modules.sorted() {
      guard let layer = module.split(separator: ".").lazy.compactMap({ Int($0) }).first else {
        throw malformed(module + ".k_scale", "no layer's number", "one in its name")
      }
      let parts = parts(module)
      let scales = KeyValueScales.Layer(
        key: try parts.float(".k_scale"), value: try parts.float(".v_scale"))
      guard byLayer.updateValue(scales, forKey: layer) == nil else {
        throw malformed(module + ".k_scale", "a second scale of layer \(layer)", "one")
      }
    }
    let count = layers ?? byLayer.count
    guard count > 0, byLayer.count == count, (0..<count).allSatisfy({ byLayer[$0] != nil }) else {
      throw malformed(
        "kv_cache_scheme", "scales of \(byLayer.count) layers",
        "k_scale and v_scale of \(count > 0 ? "\(count)" : "all") layers, numbered from 0")
    }
    let result = KeyValueScales(format: format, layers: (0..<count).compactMap { byLayer[$0] })
    do {
      try result.validate()
    } catch {
      throw malformed("kv_cache_scheme", "\(error)", "positive numbers")
    }
    return result
  }

  private static func parent(of name: String) -> String {
    name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
  }
}
