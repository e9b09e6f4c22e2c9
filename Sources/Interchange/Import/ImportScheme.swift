import JSONText
import Tensors
import Weights

/// How a folder's `quantization_config` says that its weights are kept.
struct ImportScheme: Sendable {
  enum Kind: Sendable {
    case compressedTensors(CompressedTensorsImport)
    case gptq(zeroOffset: UInt8)
    case awq
  }

  let kind: Kind
  let bits: Int
  /// Inputs that share a scale; nil for all of a row.
  let group: Int?
  let symmetric: Bool
  let path: String

  init(_ config: JSONValue, path: String) throws(InterchangeError) {
    self.path = path
    let method = config["quant_method"]?.string ?? ""
    func unsupported(_ what: String, _ advice: String) -> InterchangeError {
      .unsupported(path: path, what: what, advice: advice)
    }
    func checked(_ bits: Int?) throws(InterchangeError) -> Int {
      guard let bits, (2...8).contains(bits) else {
        throw unsupported(
          "codes of \(bits.map(String.init) ?? "unknown") bits", "2 to 8 bits are read")
      }
      return bits
    }
    switch method {
    case "gptq":
      let version = config["checkpoint_format"]?.string ?? "gptq"
      guard version == "gptq" || version == "gptq_v2" else {
        throw unsupported("checkpoint_format '\(version)'", "gptq and gptq_v2 are read")
      }
      kind = .gptq(zeroOffset: version == "gptq" ? 1 : 0)
      bits = try checked(config["bits"]?.int)
      symmetric = config["sym"]?.bool ?? false
      group = config["group_size"]?.int.flatMap { $0 > 0 ? $0 : nil }
    case "awq":
      guard config["version"]?.string?.lowercased() ?? "gemm" == "gemm" else {
        throw unsupported(
          "AWQ version '\(config["version"]?.string ?? "")'", "the GEMM layout is read")
      }
      kind = .awq
      bits = try checked(config["bits"]?.int ?? config["w_bit"]?.int)
      guard bits == 4 else { throw unsupported("AWQ with \(bits) bits", "it has 4") }
      symmetric = !(config["zero_point"]?.bool ?? true)
      group = (config["group_size"]?.int ?? config["q_group_size"]?.int).flatMap {
        $0 > 0 ? $0 : nil
      }
    case "compressed-tensors":
      kind = .compressedTensors(try CompressedTensorsImport(config, path: path))
      // Each of its groups has its own.
      (bits, symmetric, group) = (8, true, nil)
    default:
      throw unsupported(
        "quant_method '\(method)'", "gptq, awq and compressed-tensors are read")
    }
  }

  var title: String {
    switch kind {
    case .compressedTensors: "compressed-tensors"
    case .gptq(let offset): offset == 1 ? "GPTQ" : "GPTQ v2"
    case .awq: "AWQ"
    }
  }

  /// Parts of which every quantized module has one.
  var markers: [String] {
    if case .compressedTensors = kind { [".weight_packed", ".weight_scale"] } else { [".qweight"] }
  }

  /// What of the folder is not taken over.
  var warnings: [String] {
    if case .compressedTensors(let groups) = kind { groups.warnings } else { [] }
  }

  /// A module's weight from its parts.
  func weight(_ parts: ImportParts) throws -> CompressedWeight {
    switch kind {
    case .compressedTensors(let groups): try groups.weight(parts)
    case .gptq(let offset): try gptq(parts, zeroOffset: offset)
    case .awq: try awq(parts)
    }
  }
}
