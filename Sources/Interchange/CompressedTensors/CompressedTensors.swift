import JSONText
import Tensors
import Weights

/// A weight in one of compressed-tensors' forms: what goes into its config group, and its tensors.
enum CompressedTensors {
  /// A weight's form there, or why it has none.
  enum Choice {
    case form(CompressedTensorsForm, Base, inputs: ActivationScheme?, order: InputOrder? = nil)
    case none(reason: String)
  }

  static func choice(_ weight: CompressedWeight, name: String) throws -> Choice {
    let inputs = weight.site?.activations
    if let inputs, let problem = CompressedTensorsInputs.problem(with: inputs) {
      return .none(reason: problem)
    }
    if case .table(let base)? = weight.base {
      if let reason = ExactIntegers.extraPart(of: weight) { return .none(reason: reason) }
      if weight.mask != nil { return .none(reason: "it has a mask") }
      guard let (format, reach) = form(of: base) else {
        return .none(reason: "\(base.grid) has no place there")
      }
      return .form(
        CompressedTensorsForm(
          format: format, bits: base.grid.format.bits, symmetric: true, reach: reach,
          inputs: inputs?.withoutRange), .table(base), inputs: inputs)
    }
    if let (base, order) = InputOrder.of(weight) {
      return .form(
        CompressedTensorsForm(
          format: .packed, bits: base.grid.bits, symmetric: base.grid.symmetric,
          reach: reach(of: base), isOrdered: base.grid.groupLength != nil),
        .integer(base), inputs: nil, order: order)
    }
    switch try ExactIntegers.of(weight, name: name, allowsRoundedInputs: true) {
    case .none(let reason): return .none(reason: reason)
    case .integers(let base):
      return .form(
        CompressedTensorsForm(
          format: inputs == nil ? .packed : .integers, bits: base.grid.bits,
          symmetric: base.grid.symmetric, reach: reach(of: base), inputs: inputs?.withoutRange),
        .integer(base), inputs: inputs)
    }
  }

  private static func reach(of base: IntegerBase) -> CompressedTensorsForm.Reach {
    switch base.grid.granularity {
    case .tensor: .tensor
    case .channel: .channel
    case .group(let length): .group(length)
    }
  }

  private static func form(
    of base: TableBase
  ) -> (CompressedTensorsForm.Format, CompressedTensorsForm.Reach)? {
    let grid = base.grid
    guard grid.packing == .stream else { return nil }
    switch (grid.format, grid.granularity, grid.scaleFormat) {
    case (.minifloat(.e2m1), .group(16), .e4m3): return (.nvfp4, .group(16))
    case (.minifloat(.e2m1), .group(32), .e8m0): return (.mxfp4, .group(32))
    case (.minifloat(.e4m3), .group(32), .e8m0): return (.mxfp8, .group(32))
    case (.minifloat(.e4m3), let reach, .f32), (.minifloat(.e4m3), let reach, .f16),
      (.minifloat(.e4m3), let reach, .bf16):
      switch reach {
      case .tensor: return (.floats, .tensor)
      case .channel: return (.floats, .channel)
      case .group(let length): return (.floats, .group(length))
      }
    default: return nil
    }
  }

  /// The tensors of a weight in its form.
  static func tensors(
    _ base: Base, _ form: CompressedTensorsForm, inputs: ActivationScheme?, order: InputOrder?,
    module: String
  ) -> [ExportTensor] {
    var result: [ExportTensor]
    switch base {
    case .integer(let base):
      result =
        form.format == .packed
        ? PackedIntegers.tensors(base, module, order: order) : integerTensors(base, module)
    case .table(let base): result = floatTensors(base, form, module)
    default: preconditionFailure("no form has \(base)")
    }
    if let step = inputs.flatMap(CompressedTensorsInputs.step) {
      result.append(ExportTensor(module + ".input_scale", .f32, [1]) { Bytes([step]) })
    }
    if let number = inputs.flatMap(CompressedTensorsInputs.globalScale) {
      result.append(ExportTensor(module + ".input_global_scale", .f32, [1]) { Bytes([number]) })
    }
    return result
  }

  /// `int-quantized`: codes less their middle, one a byte.
  private static func integerTensors(_ base: IntegerBase, _ module: String) -> [ExportTensor] {
    let middle = 1 << (base.grid.bits - 1)
    let isTensor = base.grid.granularity == .tensor
    let groups = base.scales.shape.elementCount / max(base.scales.shape.rows, 1)
    let shape = isTensor ? [1] : [base.rows, groups]
    @Sendable func centred(_ codes: [UInt8]) -> Bytes {
      Bytes(codes.map { Int8(truncatingIfNeeded: Int($0) - middle) })
    }
    var result = [
      ExportTensor(
        module + ".weight", .i8, [base.rows, base.columns],
        pouring: { try $0.append(centredCodesOf: base) }),
      ExportTensor(module + ".weight_scale", base.grid.scaleType, shape, of: base.scales.bytes),
    ]
    if base.zeros != nil {
      result.append(
        ExportTensor(module + ".weight_zero_point", .i8, shape) {
          let zeros = base.unpackedZeros()
          return centred(isTensor ? Array(zeros.prefix(1)) : zeros)
        })
    }
    return result
  }

  /// Small floats: our codes are theirs, E4M3's as a type of its own.
  private static func floatTensors(
    _ base: TableBase, _ form: CompressedTensorsForm, _ module: String
  ) -> [ExportTensor] {
    let groups = base.scales.shape.elementCount / max(base.scales.shape.rows, 1)
    let scale = ExportTensor(
      module + ".weight_scale", base.grid.scaleFormat.dtype,
      form.reach == .tensor ? [1] : [base.rows, groups], of: base.scales.bytes)
    if form.bits == 8 {
      return [
        ExportTensor(
          module + ".weight", .f8e4m3, [base.rows, base.columns], of: base.codes.bytes),
        scale,
      ]
    }
    let packed = ExportTensor(
      module + ".weight_packed", .u8, [base.rows, base.columns / 2], of: base.codes.bytes)
    guard form.format == .nvfp4 else { return [packed, scale] }
    return [
      packed, scale,
      ExportTensor(module + ".weight_global_scale", .f32, [1]) {
        Bytes([GlobalScale.of(factor: base.factors?.floats().first ?? 1)])
      },
    ]
  }

  /// `quantization_config`; several forms make several groups that name their modules.
  static func configuration(
    _ modules: [(form: CompressedTensorsForm, names: [String])], ignored: [String],
    keyValues: KeyValueScales.Format?
  ) -> JSONValue {
    var groups = JSONObject()
    for (index, entry) in modules.enumerated() {
      groups["group_\(index)"] = entry.form.group(
        targets: modules.count == 1 ? ["Linear"] : entry.names)
    }
    let formats = Set(modules.map(\.form.format))
    return [
      "quant_method": "compressed-tensors",
      "format": .string(
        formats.count > 1 ? "mixed-precision" : formats.first?.rawValue ?? "dense"),
      "quantization_status": "compressed", "config_groups": .object(groups),
      "ignore": .array(ignored.map { .string($0) }),
      "kv_cache_scheme": keyValues.map { CompressedTensorsKeyValues.arguments($0) } ?? .null,
    ]
  }
}

/// NVFP4's one number for a tensor: what local scales are divided by there, and multiplied by here.
enum GlobalScale {
  /// The divisor whose inverse is the factor, where f32 has one; else the nearest.
  static func of(factor: Float) -> Float {
    let near = 1 / factor
    return [near, near.nextUp, near.nextDown].first { 1 / $0 == factor } ?? near
  }
}
