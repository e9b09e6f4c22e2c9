import JSONText
import Tensors
import Weights

/// What a compressed-tensors configuration says of a folder's weights.
struct CompressedTensorsImport: Sendable {
  /// A config group.
  struct Group: Sendable {
    let targets: [String]
    let form: CompressedTensorsForm
    /// Whether codes are floating-point numbers; `naive-quantized` does not say by its name.
    let isFloat: Bool
    /// `input_activations`, where they can be said here.
    let inputs: JSONValue?
  }

  let groups: [Group]
  let path: String
  /// How keys and values are rounded under stored scales.
  let keyValues: KeyValueScales.Format?
  /// What of the folder is not taken over.
  let warnings: [String]

  /// - Throws: `InterchangeError.unsupported` for what would be decoded to other weights.
  init(_ config: JSONValue, path: String) throws(InterchangeError) {
    self.path = path
    var warnings: [String] = []
    for key in ["sparsity_config", "transform_config"] {
      guard let object = config[key]?.object, !object.members.isEmpty,
        object["format"]?.string != "dense"
      else { continue }
      throw .unsupported(
        path: path, what: "compressed-tensors with a \(key)",
        advice: "decompress the folder with its own tool and compress the result")
    }
    var keyValues: KeyValueScales.Format?
    if let scheme = config["kv_cache_scheme"], scheme.object != nil {
      keyValues = CompressedTensorsKeyValues.format(scheme)
      if keyValues == nil {
        warnings.append(
          "the folder rounds keys and values in a way that is not known here (\(scheme.text())); the "
            + "artefact keeps them exactly")
      }
    }
    self.keyValues = keyValues
    let top = config["format"]?.string
    let members = config["config_groups"]?.object?.members ?? []
    guard !members.isEmpty || keyValues != nil else {
      throw .malformed(
        path: path, item: "config_groups", found: "none", expected: "at least one group")
    }
    var groups: [Group] = []
    for (name, value) in members {
      let group = try Self.group(value, name: name, top: top, path: path)
      if let inputs = value["input_activations"], inputs.object != nil, group.inputs == nil {
        warnings.append(
          "\(name) rounds inputs in a way that is not known here "
            + "(\(inputs.text())); the artefact does not round them")
      }
      groups.append(group)
    }
    self.groups = groups
    self.warnings = warnings
  }

  private static func group(
    _ value: JSONValue, name: String, top: String?, path: String
  ) throws(InterchangeError) -> Group {
    func unsupported(_ what: String) -> InterchangeError {
      .unsupported(
        path: path, what: "\(name): \(what)",
        advice: CompressedTensorsForm.Format.allCases.map(\.rawValue).joined(separator: ", ")
          + " are read")
    }
    guard let weights = value["weights"], weights.object != nil else {
      throw unsupported("a config group without weights")
    }
    let stated = value["format"]?.string ?? top ?? ""
    guard let format = CompressedTensorsForm.Format(rawValue: stated) else {
      throw unsupported("compressed-tensors format '\(stated)'")
    }
    let isFloat = weights["type"]?.string == "float"
    let bits = weights["num_bits"]?.int ?? 8
    let fits =
      switch format {
      case .packed, .integers: !isFloat && (2...8).contains(bits)
      case .floats, .mxfp8: isFloat && bits == 8
      case .nvfp4, .mxfp4: isFloat && bits == 4
      case .naive: isFloat ? bits == 8 : (2...8).contains(bits)
      }
    guard fits else {
      throw unsupported("\(isFloat ? "floats" : "integers") of \(bits) bits in '\(stated)'")
    }
    let length = weights["group_size"]?.int.flatMap { $0 > 0 ? $0 : nil }
    let reach: CompressedTensorsForm.Reach
    switch weights["strategy"]?.string ?? (length == nil ? "channel" : "group") {
    case "tensor": reach = .tensor
    case "channel": reach = .channel
    case "group", "tensor_group":
      guard let length else { throw unsupported("groups of unknown size") }
      reach = .group(length)
    case "block":
      guard let sides = weights["block_structure"]?.array?.compactMap(\.int), sides.count == 2,
        sides.allSatisfy({ $0 > 0 })
      else { throw unsupported("blocks of unknown size") }
      reach = .block(rows: sides[0], columns: sides[1])
    case let other: throw unsupported("strategy '\(other)'")
    }
    var inputs = value["input_activations"]
    if let arguments = inputs {
      if arguments.object == nil
        || (try? CompressedTensorsInputs.scheme(
          arguments, step: { 1 }, globalScale: { 1 }, path: path)) == nil
      {
        inputs = nil
      }
    }
    return Group(
      targets: value["targets"]?.array?.compactMap(\.string) ?? ["Linear"],
      form: CompressedTensorsForm(
        format: format, bits: bits, symmetric: weights["symmetric"]?.bool ?? true, reach: reach),
      isFloat: isFloat, inputs: inputs)
  }

  /// The group of a module: one that names it, else one whose expression matches it, else one for
  /// all linear layers.
  func group(of module: String) -> Group? {
    if let named = groups.first(where: { $0.targets.contains(module) }) { return named }
    let matching = groups.first { group in
      group.targets.contains { target in
        guard target.hasPrefix("re:"), let expression = try? Regex(String(target.dropFirst(3)))
        else { return false }
        return (try? expression.prefixMatch(in: module)) ?? nil != nil
      }
    }
    return matching ?? groups.first { $0.targets.contains("Linear") } ?? groups.first
  }

  /// A module's weight from its parts.
  func weight(_ parts: ImportParts) throws -> CompressedWeight {
    guard let group = group(of: parts.module) else {
      throw InterchangeError.malformed(
        path: path, item: parts.module, found: "codes", expected: "a config group for them")
    }
    var weight = try CompressedTensorsReader(group: group, parts: parts, path: path).weight()
    if let order = try order(of: weight, parts), case .integer(let base)? = weight.base {
      weight.base = .integer(base.ordered(order))
      weight.site = Site(transforms: [order.transform])
    }
    if let inputs = group.inputs {
      weight.site = Site(
        transforms: weight.site?.transforms ?? [],
        activations: try CompressedTensorsInputs.scheme(
          inputs,
          step: { try parts.float(".input_scale") },
          globalScale: { try parts.float(".input_global_scale") }, path: path))
    }
    try parts.check(weight)
    return weight
  }

  /// The order of act-order's groups; -1 everywhere stands for groups that lie together.
  private func order(of weight: CompressedWeight, _ parts: ImportParts) throws -> InputOrder? {
    let part = ".weight_g_idx"
    guard parts.has(part) else { return nil }
    let index = try parts.integers(part, shape: [weight.columns])
    if index.allSatisfy({ $0 == -1 }) { return nil }
    guard case .integer(let base)? = weight.base, let length = base.grid.groupLength else {
      throw InterchangeError.unsupported(
        path: path, what: "\(parts.module)\(part) beside what is no integers in groups",
        advice: "integers in groups are read in any order")
    }
    return try parts.order(part, weight.columns, length: length)
  }
}
