import JSONText
import Tensors
import Weights

/// How a folder's format keeps integer weights: which it takes, what they become, and what its
/// configuration says of them.
struct FolderScheme {
  let format: FolderFormat
  let path: String
  /// The grid of the first weight; formats with one place for it want all weights on it.
  private(set) var grid: IntegerGrid?
  /// Modules of each of compressed-tensors' forms, in order.
  private(set) var modules: [(form: CompressedTensorsForm, names: [String])] = []
  /// Whether some weight's groups do not lie together.
  private(set) var isOrdered = false
  /// Modules whose matrices stay as they are.
  private(set) var left: [String] = []

  init(format: FolderFormat, path: String) {
    self.format = format
    self.path = path
  }

  /// Whether anything went in as codes, or is rounded while running.
  var isQuantized: Bool { grid != nil || !modules.isEmpty || keyValues != nil }

  /// The numbers that keys and values become under stored scales.
  var keyValues: KeyValueScales.Format?

  /// A weight that cannot go in as it is.
  struct Problem {
    var reason: String
    var nearest: String
    /// What it would be rounded to.
    var scheme: IntegerScheme?
  }

  mutating func leave(_ tensor: String) {
    let module = Self.module(of: tensor)
    if !left.contains(module) { left.append(module) }
  }

  static func module(of tensor: String) -> String {
    tensor.hasSuffix(".weight") ? String(tensor.dropLast(7)) : tensor
  }

  /// Why the format cannot hold a base, nil when it can.
  func problem(with base: IntegerBase, name: String) -> Problem? {
    let bits = base.grid.bits
    switch format {
    case .huggingFace, .compressedTensors: return nil
    case .gptq, .gptqV2:
      guard [2, 3, 4, 8].contains(bits) else {
        return problem("\(bits)-bit codes; it has 2, 3, 4 and 8", base, bits: bits < 4 ? 4 : 8)
      }
      guard base.rows * bits % 32 == 0, base.columns * bits % 32 == 0 else {
        return Problem(
          reason: "\(base.rows) × \(base.columns) codes of \(bits) bits do not fill 32-bit words",
          nearest: "compressed-tensors pads them")
      }
    case .awq:
      guard bits == 4 else { return problem("\(bits)-bit codes; it has 4", base, bits: 4) }
      guard base.rows % 8 == 0 else {
        return Problem(
          reason: "\(base.rows) outputs are no multiple of 8",
          nearest: "compressed-tensors pads them")
      }
    }
    if let first = grid, !first.sharesForm(with: base.grid, columns: base.columns) {
      return Problem(
        reason: "another grid than the weights before it, and one configuration serves all",
        nearest: "compressed-tensors has a group of its own for each grid",
        scheme: try? IntegerScheme(
          bits: first.bits, symmetric: first.symmetric, granularity: first.granularity,
          scaleType: .f16))
    }
    guard base.scalesFit(.f16) else {
      return problem("its scales are not exact in f16", base, bits: bits)
    }
    return nil
  }

  private func problem(_ reason: String, _ base: IntegerBase, bits: Int) -> Problem {
    Problem(
      reason: reason, nearest: "--format compressed-tensors takes it as it is",
      scheme: try? IntegerScheme(
        bits: bits, symmetric: base.grid.symmetric, granularity: base.grid.granularity,
        scaleType: .f16))
  }

  /// What a weight that never had a grid is rounded to.
  func defaultScheme(columns: Int) throws -> IntegerScheme {
    if let grid {
      return try IntegerScheme(
        bits: grid.bits, symmetric: grid.symmetric, granularity: grid.granularity,
        scaleType: .f16)
    }
    return try IntegerScheme(
      bits: 4, granularity: GroupFallback.resolve(requested: 128, columns: columns).granularity)
  }

  /// The tensors that a base becomes, and a note of its grid for the configuration.
  mutating func tensors(
    of base: IntegerBase, order: InputOrder? = nil, name: String
  ) -> [ExportTensor] {
    let module = Self.module(of: name)
    if grid == nil { grid = base.grid }
    if order != nil { isOrdered = true }
    return switch format {
    case .huggingFace, .compressedTensors: []
    case .gptq: GPTQLayout.tensors(base, module, zeroOffset: 1, order: order)
    case .gptqV2: GPTQLayout.tensors(base, module, zeroOffset: 0, order: order)
    case .awq: AWQLayout.tensors(base, module)
    }
  }

  /// The tensors of a weight in one of compressed-tensors' forms, and a note of it.
  mutating func tensors(
    of base: Base, _ form: CompressedTensorsForm, inputs: ActivationScheme?,
    order: InputOrder? = nil, name: String
  ) -> [ExportTensor] {
    let module = Self.module(of: name)
    if let index = modules.firstIndex(where: { $0.form == form }) {
      modules[index].names.append(module)
    } else {
      modules.append((form, [module]))
    }
    return CompressedTensors.tensors(
      base, form, inputs: inputs, order: order, module: module)
  }

  /// `quantization_config`.
  var configuration: JSONValue {
    switch format {
    case .huggingFace: .null
    case .compressedTensors:
      CompressedTensors.configuration(modules, ignored: left, keyValues: keyValues)
    case .gptq, .gptqV2:
      GPTQLayout.configuration(
        grid, version: format == .gptq ? 1 : 2, isOrdered: isOrdered)
    case .awq: AWQLayout.configuration(grid, left: left)
    }
  }
}

extension IntegerGrid {
  /// The inputs that share a scale; nil for all of a row.
  var groupLength: Int? { if case .group(let length) = granularity { length } else { nil } }

  /// Whether one line of a configuration can stand for both: a fallback to whole rows counts as
  /// another form, as −1 is then the group's size.
  func sharesForm(with other: IntegerGrid, columns: Int) -> Bool {
    bits == other.bits && symmetric == other.symmetric && groupLength == other.groupLength
  }
}

extension IntegerBase {
  /// Whether every scale is the same in another type.
  func scalesFit(_ type: DType) -> Bool {
    if scales.dtype == type { return true }
    let values = scales.floats()
    guard let bytes = try? PlainValues.bytes(values, as: type),
      let rounded = try? Tensor(dtype: type, shape: scales.shape, bytes: bytes)
    else { return false }
    return rounded.floats() == values
  }
}
