import Architectures
import Foundation
import Models
import Tensors
import Weights

/// A model's weights with tuned parameters in their places, perhaps a step along a direction away.
///
/// Values are made when a block asks for them, in scratch that goes with the block: the
/// coordinates themselves are never touched, so that there is nothing to undo.
struct TunedWeights: WeightProvider {
  /// Where, relative to the coordinates.
  struct Offset: Sendable {
    /// epsilon with the side's sign.
    var step: Float
    var time: Int
    var query: Int
    /// The only block that moves; nil for all.
    var block: Int?
  }

  let base: any WeightProvider
  let space: ParameterSpace
  let coordinates: [Float]
  let directions: Directions
  var offset: Offset?
  /// Whether values are rounded as they will be stored.
  var asStored = false
  /// Of the products with integer codes.
  var arithmetic = ProductArithmetic.f32

  var description: ModelDescription { base.description }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    var weight = try base.weight(linear)
    guard let indices = space.byTensor[linear.weight] else { return weight }
    weight = weight.unpacked()
    for index in indices {
      weight.replace(space.parameters[index].part, with: tensor(index, in: weight))
    }
    return weight
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    guard let index = space.byTensor[name]?.first else {
      return try base.vector(name, count: count)
    }
    return values(index)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }

  /// A part's tensor: f32, or as it is stored.
  func tensor(_ index: Int, in weight: CompressedWeight) -> Tensor {
    let parameter = space.parameters[index]
    let shape = weight.tensor(of: parameter.part)?.shape ?? Shape([parameter.count])
    let values = values(index)
    // Zero points are rounded as they go into the weight, on every side.
    guard asStored, parameter.part != .zeros else {
      return Tensor(dtype: .f32, shape: shape, array: values)
    }
    if case .integer(let integer)? = weight.base, parameter.part == .scales {
      let grid = integer.grid
      return grid.tensor(ofScales: values.map { grid.stored(scale: $0) }, shape: shape)
    }
    return Tensor(rounding: values, to: parameter.stored, shape: shape)
  }

  /// One parameter's values.
  func values(_ index: Int) -> [Float] {
    let parameter = space.parameters[index]
    let count = parameter.count
    return Array(unsafeUninitializedCapacity: count) { target, initialized in
      initialized = count
      guard let values = target.baseAddress else { return }
      coordinates.withUnsafeBufferPointer { source in
        guard let start = source.baseAddress.map({ $0 + parameter.range.lowerBound }) else {
          return
        }
        shift(values, from: start, parameter)
      }
      if parameter.kind == .scales { finishScales(values, index) }
    }
  }

  private func shift(
    _ values: UnsafeMutablePointer<Float>, from start: UnsafePointer<Float>,
    _ parameter: Parameter
  ) {
    let count = parameter.count
    guard let offset, offset.block == nil || offset.block == parameter.block ?? -1 else {
      values.initialize(from: start, count: count)
      return
    }
    directions.fill(
      values, parameter: parameter, elements: 0..<count, step: offset.time, query: offset.query)
    let scale = offset.step * parameter.unit
    if let threshold = parameter.threshold {
      for element in 0..<count {
        let moves = abs(start[element]) <= threshold
        values[element] = start[element] + (moves ? scale * values[element] : 0)
      }
    } else {
      for element in 0..<count { values[element] = start[element] + scale * values[element] }
    }
  }

  private func finishScales(_ values: UnsafeMutablePointer<Float>, _ index: Int) {
    let parameter = space.parameters[index]
    space.origins[index].withUnsafeBufferPointer { origin in
      switch parameter.form {
      case .logarithmic:
        for element in 0..<parameter.count {
          values[element] = origin[element] * exp(values[element])
        }
      case .absolute:
        // A side of a perturbation must not turn a group's sign either.
        for element in 0..<parameter.count {
          values[element] = max(
            values[element],
            max(ParameterSpace.leastScale, ParameterSpace.leastShare * origin[element]))
        }
      }
    }
  }
}

extension Tensor {
  /// Values rounded to a floating-point type; f32 where they do not fit into it.
  init(rounding values: [Float], to dtype: DType, shape: Shape) {
    let bytes = try? Bytes(count: values.count * dtype.bytes) { target in
      try values.withUnsafeBufferPointer { try FloatConversion.encode($0, as: dtype, into: target) }
    }
    if let bytes, let tensor = try? Tensor(dtype: dtype, shape: shape, bytes: bytes) {
      self = tensor
    } else {
      self.init(dtype: .f32, shape: shape, array: values)
    }
  }
}

/// A provider that hands out what it once read: parts stay mapped or in memory, decoding of the
/// container happens once.
public final class HeldWeights: WeightProvider {
  public let description: ModelDescription
  private let weights: [String: CompressedWeight]
  private let vectors: [String: [Float]]
  private let other: any WeightProvider

  /// Reads all blocks' weights and the final norm.
  ///
  /// - Parameter afterReading: called with each weight.
  public init(
    _ other: any WeightProvider, afterReading: (CompressedWeight) -> Void = { _ in }
  ) throws {
    description = other.description
    self.other = other
    var weights: [String: CompressedWeight] = [:]
    var vectors: [String: [Float]] = [:]
    func hold(_ norm: NormDescription?) throws {
      guard let norm else { return }
      vectors[norm.weight] = try other.vector(norm.weight, count: norm.width)
      if let bias = norm.bias { vectors[bias] = try other.vector(bias, count: norm.width) }
    }
    for block in other.description.blocks {
      for linear in block.linears {
        let weight = try other.weight(linear)
        afterReading(weight)
        weights[linear.weight] = weight
        if let bias = linear.bias { vectors[bias] = try other.vector(bias, count: linear.outputs) }
      }
      try hold(block.attentionNorm)
      try hold(block.queryNorm)
      try hold(block.keyNorm)
      try hold(block.feedForwardNorm)
    }
    try hold(other.description.finalNorm)
    self.weights = weights
    self.vectors = vectors
  }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    if let held = weights[linear.weight] { return held }
    return try other.weight(linear)
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    if let held = vectors[name], held.count == count { return held }
    return try other.vector(name, count: count)
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try other.table(name, rows: rows, columns: columns)
  }
}
