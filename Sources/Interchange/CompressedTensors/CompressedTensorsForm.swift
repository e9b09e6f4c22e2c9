import JSONText
import Tensors
import Weights

/// How compressed-tensors keeps one weight: what a config group says (ptq.md, F1).
struct CompressedTensorsForm: Sendable, Hashable {
  /// compressed-tensors' names of how codes lie.
  enum Format: String, Sendable, Hashable, CaseIterable {
    /// Integers in 32-bit words.
    case packed = "pack-quantized"
    /// An integer a byte, for rounded inputs.
    case integers = "int-quantized"
    /// E4M3.
    case floats = "float-quantized"
    /// E2M1 in blocks of 16 under E4M3 scales and one f32.
    case nvfp4 = "nvfp4-pack-quantized"
    /// E2M1 in blocks of 32 under powers of two.
    case mxfp4 = "mxfp4-pack-quantized"
    /// E4M3 in blocks of 32 under powers of two.
    case mxfp8 = "mxfp8-quantized"
    /// Written by older versions for what has no format of its own.
    case naive = "naive-quantized"
  }

  /// How far one scale reaches.
  enum Reach: Sendable, Hashable {
    case tensor
    case channel
    case group(Int)
    /// Runs of outputs × inputs; read, never written.
    case block(rows: Int, columns: Int)
  }

  let format: Format
  let bits: Int
  let symmetric: Bool
  let reach: Reach
  /// Whether groups do not lie together: act-order's.
  var isOrdered = false
  /// How inputs are rounded; a range that was calibrated stands in a tensor, not here.
  var inputs: ActivationScheme?

  var isInteger: Bool {
    format == .packed || format == .integers
  }

  /// The group's `weights`.
  var weights: JSONValue {
    var object = JSONObject()
    object["num_bits"] = JSONValue(bits)
    object["type"] = isInteger ? "int" : "float"
    object["symmetric"] = JSONValue(symmetric)
    object["strategy"] =
      switch reach {
      case .tensor: "tensor"
      case .channel: "channel"
      case .group: format == .nvfp4 ? "tensor_group" : "group"
      case .block: "block"
      }
    object["group_size"] = .null
    if case .group(let length) = reach { object["group_size"] = JSONValue(length) }
    object["dynamic"] = false
    if isOrdered { object["actorder"] = "group" }
    // Readers tell blocks of 32 of one kind from another by it.
    switch format {
    case .mxfp4, .mxfp8: object["scale_dtype"] = "torch.uint8"
    case .nvfp4: object["scale_dtype"] = "torch.float8_e4m3fn"
    default: break
    }
    return .object(object)
  }

  /// A config group for these modules.
  func group(targets: [String]) -> JSONValue {
    [
      "targets": .array(targets.map { .string($0) }), "weights": weights,
      "input_activations": inputs.map { CompressedTensorsInputs.arguments($0) } ?? .null,
      "output_activations": nil, "format": .string(format.rawValue),
    ]
  }
}

/// How inputs are rounded, in compressed-tensors' words.
///
/// Its symmetric integers reach one code further down (−2^(b−1)) and have 2^b − 1 halves of a scale where
/// ours have 2^(b−1) − 1 whole ones, so that scales found while running are 0.4 % smaller there; a
/// calibrated scale is stored, and is ours.
enum CompressedTensorsInputs {
  /// Why a scheme cannot be said there; nil when it can.
  static func problem(with scheme: ActivationScheme) -> String? {
    if scheme.clip != 1, !scheme.isCalibrated || scheme.scale == .e4m3 {
      return "its inputs' ranges are cut to \(scheme.clip), which is not said there"
    }
    switch scheme.format {
    case .int8, .int7, .int6, .int5, .int4, .int3, .int2, .fp8E4M3: break
    case .fp4E2M1
    where scheme == .mxfp4 || scheme == .nvfp4OfTensor(maximum: scheme.maximum):
      return nil
    case .fp4E2M1 where scheme.scale == .e4m3:
      return "its inputs' E4M3 scales stand under one number a token, and there under a stored one "
        + "('granularity: tensor_block' in the recipe)"
    default:
      return "its inputs are rounded to \(scheme.name), which has no name there"
    }
    if scheme.scale == .e8m0, scheme != .mxfp8 {
      return "its inputs' scales are powers of two, which only MXFP4 and MXFP8 have there"
    }
    if scheme.scale == .e4m3 {
      return "its inputs' scales are E4M3, which only NVFP4 has there"
    }
    return nil
  }

  /// What stands for the range of a calibrated scheme: the step of the grid.
  static func step(_ scheme: ActivationScheme) -> Float? {
    guard case .tensor(let maximum?) = scheme.granularity else { return nil }
    return maximum * scheme.clip / levels(scheme.format)
  }

  /// NVFP4's one number for a tensor: what local scales are multiplied by there before they are
  /// rounded.
  static func globalScale(_ scheme: ActivationScheme) -> Float? {
    guard case .tensorBlock(_, let maximum?) = scheme.granularity else { return nil }
    return 448 * 6 / maximum
  }

  private static func levels(_ format: ActivationScheme.Format) -> Float {
    format.integerBits.map { Float(1 << ($0 - 1) - 1) } ?? 448
  }

  static func arguments(_ scheme: ActivationScheme) -> JSONValue {
    var object = JSONObject()
    object["num_bits"] = JSONValue(
      scheme.format.integerBits ?? (scheme.format == .fp8E4M3 ? 8 : 4))
    object["type"] = scheme.format.integerBits == nil ? "float" : "int"
    object["symmetric"] = JSONValue(scheme.symmetric)
    object["group_size"] = .null
    switch scheme.granularity {
    case .token: object["strategy"] = "token"
    case .tensor: object["strategy"] = "tensor"
    case .block(let run):
      object["strategy"] = "group"
      object["group_size"] = JSONValue(run)
    case .tensorBlock(let run, _):
      object["strategy"] = "tensor_group"
      object["group_size"] = JSONValue(run)
    }
    object["dynamic"] = JSONValue(!scheme.isCalibrated)
    if scheme.scale == .e4m3 {
      object["dynamic"] = "local"
      object["scale_dtype"] = "torch.float8_e4m3fn"
    }
    if scheme.scale == .e8m0 { object["scale_dtype"] = "torch.uint8" }
    return .object(object)
  }

  /// The scheme of a group's `input_activations`; `step` is the module's `input_scale`,
  /// `globalScale` its `input_global_scale`.
  ///
  /// - Throws: `InterchangeError.unsupported`.
  static func scheme(
    _ arguments: JSONValue, step: () throws -> Float, globalScale: () throws -> Float,
    path: String
  ) throws -> ActivationScheme {
    func unsupported(_ what: String) -> InterchangeError {
      .unsupported(
        path: path, what: "inputs rounded to \(what)",
        advice: "integers, FP8 E4M3, MXFP4, MXFP8 and NVFP4 per token, tensor or group are read")
    }
    let bits = arguments["num_bits"]?.int ?? 8
    let isFloat = arguments["type"]?.string == "float"
    let isDynamic = arguments["dynamic"]?.bool == true
    let strategy = arguments["strategy"]?.string ?? "tensor"
    let run = arguments["group_size"]?.int
    let hasByteScales = arguments["scale_dtype"]?.string == "torch.uint8"
    let format: ActivationScheme.Format
    switch (isFloat, bits) {
    case (true, 8): format = .fp8E4M3
    case (true, 4) where run == 32 && strategy == "group" && isDynamic: return .mxfp4
    case (true, 4)
    where run == 16 && strategy == "tensor_group" && arguments["dynamic"]?.string == "local":
      let scheme = ActivationScheme.nvfp4OfTensor(maximum: 448 * 6 / (try globalScale()))
      do { try scheme.validate() } catch { throw unsupported("\(error)") }
      return scheme
    case (false, 2...8):
      guard let named = ActivationScheme.Format(rawValue: "int\(bits)") else {
        throw unsupported("\(bits) bits")
      }
      format = named
    default:
      throw unsupported("\(arguments["type"]?.string ?? "int") of \(bits) bits by \(strategy)")
    }
    var result = ActivationScheme(
      format: format, symmetric: isFloat || arguments["symmetric"]?.bool ?? true)
    switch (strategy, isDynamic) {
    case ("token", true): result.granularity = .token
    case ("tensor", false):
      result.granularity = .tensor(maximum: try step() * levels(format))
    case ("group", true):
      result.granularity = .block(run ?? 0)
      if isFloat, hasByteScales { result.scale = .e8m0 }
    default:
      throw unsupported(
        "'\(strategy)' \(isDynamic ? "while running" : "from a calibration")")
    }
    do { try result.validate() } catch { throw unsupported("\(error)") }
    return result
  }
}

extension ActivationScheme {
  /// The same for every weight of a config group: without the calibrated range.
  var withoutRange: ActivationScheme {
    var result = self
    if isCalibrated {
      result.maximum = nil
      result.clip = 1
    }
    return result
  }
}
