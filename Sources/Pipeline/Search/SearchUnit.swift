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
  /// One way as a recipe says it, and its stages as they fit the tensor.
  struct Candidate: Sendable {
    let way: SearchOptions.Way
    let compression: TensorDecision.Compression
    let bytes: Int
    /// Of the codes alone.
    let codeBytes: Int
    /// tr(ΔHΔᵀ)/tr(WHWᵀ), or ‖Δ‖²/‖W‖² where there are no statistics of the input.
    var error = 0.0
  }

  let tensor: TensorDescription
  let view: WeightView
  var candidates: [Candidate]
  /// The candidate of each rounding alone, several of which may come to the same; empty where
  /// the search has no way that only rounds.
  private(set) var numbers: [Int] = []
  /// Whether only codes count in a budget.
  private let countsCodes: Bool
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
    if case .codeBitsPerWeight = options.target { countsCodes = true } else { countsCodes = false }
    candidates = []
    var found: [SearchOptions.Way: Int] = [:]
    for way in options.ways {
      let compression: TensorDecision.Compression
      do throws(PipelineError) {
        compression = try StageResolver.resolve(
          options.stages(way), view: view, tensor: tensor.name, recipe)
      } catch {
        // What does not fit this tensor (a pattern its width, a rank its sides) is no candidate for
        // it, as long as others are.
        guard !way.isPlain else { throw error }
        continue
      }
      if let same = candidates.firstIndex(where: { $0.compression.stages == compression.stages }) {
        found[way] = same
        continue
      }
      found[way] = candidates.count
      let bytes = StageForecast.storedBytes(of: compression, sourceType: tensor.dtype)
      candidates.append(
        Candidate(
          way: way, compression: compression, bytes: bytes,
          codeBytes: Self.codeBytes(compression, stored: bytes)))
    }
    numbers = options.roundings.compactMap { found[SearchOptions.Way($0)] }
  }

  /// What the codes take alone; of ggml's blocks, which have no scales beside them, and of pruned
  /// or repaired weights all.
  private static func codeBytes(
    _ compression: TensorDecision.Compression, stored: Int
  ) -> Int {
    let view = compression.view
    guard compression.stages.count == 1 else { return stored }
    return switch compression.stages.first {
    case .quantize(let scheme)?:
      view.rows * PackedCodes.bytes(count: view.columns, bits: scheme.bits)
    case .format(.table(let scheme))?, .format(.fittedPower(let scheme))?:
      view.rows * scheme.grid.codeBytes(columns: view.columns)
    case .format(.planes(let scheme))?:
      view.rows * PackedCodes.bytes(count: view.columns, bits: scheme.planes)
    default: stored
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
    _ original: Matrix<Float>, _ candidate: Candidate, statistics: InputStatistics?
  ) throws -> CompressedWeight {
    var notes: [String] = []
    return try StageRunner.run(
      original, candidate.compression, sourceType: tensor.dtype, tensor: tensor.name,
      statistics: statistics, pool: .serial, notes: &notes)
  }

  /// Measures every candidate's error.
  mutating func measure(_ source: any TensorSource, statistics: InputStatistics?) throws {
    let original = try original(source)
    let gram = statistics?.gram
    let energy = try energy(of: original, gram)
    for index in candidates.indices {
      let decoded = try compressed(
        original, candidates[index], statistics: statistics
      ).decoded()
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
    candidates.map {
      Choice(cost: countsCodes ? $0.codeBytes : $0.bytes, loss: max(0, factor * $0.error))
    }
  }
}
