import Architectures
import Models
import Tensors
import Weights

/// Everything that is tuned, as one vector of f32 coordinates.
public struct ParameterSpace: Sendable {
  /// Sorted by name, so that ids and places do not depend on the order of the model's tensors.
  public internal(set) var parameters: [Parameter]
  /// Where scales start, by the parameter's number; empty for the others, which need no memory of
  /// it.
  let origins: [[Float]]
  /// Parameters of each tensor.
  let byTensor: [String: [Int]]
  /// The number of blocks of the model.
  public let blocks: Int

  /// Coordinates in all.
  public var count: Int { parameters.last?.range.upperBound ?? 0 }

  /// Scales never fall below this, nor below a thousandth of where they started.
  static let leastScale: Float = 1e-7
  static let leastShare: Float = 1e-3
  /// Of zero points: with the usual 5 % a side is 0.3 away, so that normal numbers turn every tenth
  /// into its neighbour.
  static let zeroUnit: Float = 6

  /// The parameters of some kinds of a model.
  ///
  /// - Parameters:
  ///   - form: of scales; everything else is absolute.
  ///   - sparsity: of dense weights: the fraction, the largest ones, that stays; nil moves all.
  ///   - first: the first block that is tuned; what lies behind the blocks is tuned too.
  ///   - path: for the message when nothing is found.
  /// - Returns: the space and its coordinates as stored.
  /// - Throws: `ZerothOrderError.nothingToTune`, and what reading the weights throws.
  public static func of(
    _ weights: any WeightProvider, kinds: Set<ParameterKind>, form: ParameterForm,
    sparsity: Double? = nil, from first: Int = 0, path: String
  ) throws -> (space: ParameterSpace, start: [Float]) {
    let blocks = weights.description.blocks.count
    guard (0...blocks).contains(first) else {
      throw ZerothOrderError.badOption(
        name: "first_block", found: "\(first)",
        expected: "0 to \(blocks - 1), the model's blocks, or \(blocks) for what lies behind them")
    }
    let found = try ParameterSearch(weights, kinds: kinds, form: form, from: first).found
      .sorted { $0.parameter.name < $1.parameter.name }
    guard !found.isEmpty else {
      throw ZerothOrderError.nothingToTune(path: path, kinds: kinds.map(\.rawValue).sorted())
    }
    var space = ParameterSpace(
      found.map { ($0.parameter, $0.values) }, blocks: weights.description.blocks.count)
    var start: [Float] = []
    start.reserveCapacity(space.count)
    for (index, item) in found.enumerated() {
      if let sparsity, item.parameter.kind == .dense {
        space.parameters[index].threshold = Self.threshold(item.values, sparsity: sparsity)
      }
      switch item.parameter.form {
      case .absolute: start += item.values
      case .logarithmic: start += Array(repeating: 0, count: item.values.count)
      }
    }
    return (space, start)
  }

  init(_ found: [(parameter: Parameter, values: [Float])], blocks: Int) {
    var parameters: [Parameter] = []
    var origins: [[Float]] = []
    var byTensor: [String: [Int]] = [:]
    var place = 0
    for (index, item) in found.enumerated() {
      var parameter = item.parameter
      parameter.id = UInt32(index)
      parameter.range = place..<place + parameter.count
      place += parameter.count
      parameters.append(parameter)
      origins.append(parameter.kind == .scales ? item.values : [])
      byTensor[parameter.tensor, default: []].append(index)
    }
    self.parameters = parameters
    self.origins = origins
    self.byTensor = byTensor
    self.blocks = blocks
  }

  /// The magnitude at a fraction of the sorted magnitudes: those above it stay.
  private static func threshold(_ values: [Float], sparsity: Double) -> Float {
    let sorted = values.map { abs($0) }.sorted()
    let kept = Int((Double(sorted.count) * (1 - sparsity)).rounded())
    return sorted.isEmpty ? 0 : sorted[min(max(kept - 1, 0), sorted.count - 1)]
  }

  /// Gives every parameter the length of its step.
  ///
  /// - Parameter relative: whether absolute coordinates step by their root mean square; otherwise
  ///   all step by 1, as in the papers.
  mutating func setUnits(relative: Bool, coordinates: [Float]) {
    for index in parameters.indices {
      let parameter = parameters[index]
      guard relative, parameter.form == .absolute, parameter.count > 0 else { continue }
      guard parameter.kind != .zeros else {
        parameters[index].unit = Self.zeroUnit
        continue
      }
      let sum = coordinates[parameter.range].reduce(0.0) { $0 + Double($1) * Double($1) }
      let size = Float((sum / Double(parameter.count)).squareRoot())
      // Zeros (a fresh B of a low-rank path) step as numbers of a hundredth do.
      parameters[index].unit = size > 0 ? size : 0.01
    }
  }

  /// The numbers of the parameters that a step moves.
  ///
  /// - Parameter block: only this block's, or those outside the blocks at −1; nil: all.
  func active(block: Int?) -> [Int] {
    guard let block else { return Array(parameters.indices) }
    return parameters.indices.filter { (parameters[$0].block ?? -1) == block }
  }

  /// The least value that a scale may take.
  func floor(_ index: Int, _ element: Int) -> Float {
    max(Self.leastScale, Self.leastShare * origins[index][element])
  }
}

/// Looks through a model for what can be tuned.
private struct ParameterSearch {
  private(set) var found: [(parameter: Parameter, values: [Float])] = []
  private let weights: any WeightProvider
  private let kinds: Set<ParameterKind>
  private let form: ParameterForm
  private var seen: Set<String> = []

  init(
    _ weights: any WeightProvider, kinds: Set<ParameterKind>, form: ParameterForm, from first: Int
  ) throws {
    self.weights = weights
    self.kinds = kinds
    self.form = form
    for block in weights.description.blocks[first...] {
      for linear in block.linears { try add(linear, block: block.index) }
      for norm in [block.attentionNorm, block.queryNorm, block.keyNorm, block.feedForwardNorm] {
        try add(norm, block: block.index)
      }
    }
    try add(weights.description.finalNorm, block: nil)
  }

  private mutating func add(_ linear: LinearDescription, block: Int?) throws {
    if kinds.contains(.biases), let bias = linear.bias {
      try add(vector: bias, count: linear.outputs, kind: .biases, block: block)
    }
    guard kinds.contains(where: { $0 != .norms && $0 != .biases }),
      seen.insert(linear.weight).inserted
    else { return }
    // Survivors of a mask that are stored alone have no matrix to step in.
    let weight = try weights.weight(linear).unpacked()
    for part in weight.tunableParts where kinds.contains(part.kind) {
      guard let tensor = weight.tensor(of: part) else { continue }
      let extents = tensor.shape.dimensions
      found.append(
        (
          Parameter(
            tensor: linear.weight, part: part, kind: part.kind,
            rows: extents.count == 2 ? extents[0] : 1, columns: extents.last ?? 0, block: block,
            form: part == .scales ? form : .absolute, stored: part == .zeros ? .u8 : tensor.dtype),
          tensor.floats()
        ))
    }
  }

  private mutating func add(_ norm: NormDescription?, block: Int?) throws {
    guard let norm, kinds.contains(.norms) else { return }
    try add(vector: norm.weight, count: norm.width, kind: .norms, block: block)
    if let bias = norm.bias { try add(vector: bias, count: norm.width, kind: .norms, block: block) }
  }

  private mutating func add(
    vector name: String, count: Int, kind: ParameterKind, block: Int?
  ) throws {
    guard seen.insert(name).inserted else { return }
    found.append(
      (
        Parameter(
          tensor: name, part: .vector, kind: kind, rows: 1, columns: count, block: block,
          form: .absolute, stored: .f32),
        try weights.vector(name, count: count)
      ))
  }
}
