import Allocation
import Architectures
import Checkpoints
import LinearAlgebra
import Quantization
import Recipes
import Tensors
import Weights

/// One tensor of a search and the ways to compress it.
struct SearchUnit: Sendable {
  /// One way: bits and group as a recipe says them, the scheme as it fits the tensor.
  struct Candidate: Sendable {
    let bits: Int
    let group: QuantizeOptions.Group
    let scheme: IntegerScheme
    let bytes: Int
    /// tr(ΔHΔᵀ)/tr(WHWᵀ), or ‖Δ‖²/‖W‖² where there are no statistics of the input.
    var error = 0.0
  }

  let tensor: TensorDescription
  let view: WeightView
  var candidates: [Candidate]
  /// What one unit of error costs in divergence.
  var factor = 1.0

  /// The candidates of a tensor, those that a smaller group makes alike once.
  ///
  /// - Throws: `PipelineError` when a candidate does not fit the tensor.
  init(
    _ tensor: TensorDescription, _ view: WeightView, _ options: SearchOptions, _ recipe: Recipe
  ) throws(PipelineError) {
    self.tensor = tensor
    self.view = view
    candidates = []
    for bits in options.bits {
      for group in options.groups {
        let compression = try StageResolver.resolve(
          [.quantize(options.stage(bits: bits, group: group))], view: view, tensor: tensor.name,
          recipe)
        guard case .quantize(let scheme)? = compression.stages.first,
          !candidates.contains(where: { $0.scheme == scheme })
        else { continue }
        candidates.append(
          Candidate(
            bits: bits, group: group, scheme: scheme,
            bytes: StageForecast.storedBytes(of: compression, sourceType: tensor.dtype)))
      }
    }
  }

  /// The dense weight, out × in.
  func original(_ source: any TensorSource) throws -> Matrix<Float> {
    let values = try source.load(tensor).floats()
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      throw PipelineError.nonFinite(file: source.path, tensor: tensor.name, index: index)
    }
    return view.matrix(from: values)
  }

  /// The weight as a candidate has it.
  func compressed(
    _ original: Matrix<Float>, _ candidate: Candidate
  ) throws -> CompressedWeight {
    try RoundToNearest.quantize(
      .dense(original, view: view), scheme: candidate.scheme, pool: .serial)
  }

  /// Measures every candidate's error.
  mutating func measure(_ source: any TensorSource, statistics: InputStatistics?) throws {
    let original = try original(source)
    let gram = statistics?.gram
    let energy = try energy(of: original, gram)
    for index in candidates.indices {
      let decoded = try compressed(original, candidates[index]).decoded()
      let difference = Matrix(
        rows: original.rows, columns: original.columns,
        values: zip(original.values, decoded.values).map { $0 - $1 })
      let lost = try self.energy(of: difference, gram)
      candidates[index].error = energy > 0 ? lost / energy : 0
    }
  }

  private func energy(of matrix: Matrix<Float>, _ gram: Matrix<Double>?) throws -> Double {
    if let gram { return try WeightedError.of(matrix, gram: gram) }
    return matrix.values.reduce(0) { $0 + Double($1) * Double($1) }
  }

  /// What the allocation sees.
  var choices: [Choice] {
    candidates.map { Choice(cost: $0.bytes, loss: max(0, factor * $0.error)) }
  }
}
