import Architectures
import Checkpoints
import LinearAlgebra
import LowRank
import Quantization
import Recipes
import Tensors
import Weights

/// Turns a `budget` stage into stages for every weight, chosen from errors that are measured here.
///
/// Every weight is quantized by GPTQ in each of the candidates' bits and groups; the singular values
/// of what was lost, weighed by the inputs, say what a repair of any rank would leave. The sum over
/// layers of the share of the output's energy that is lost, weighed by `LayerImportance`, is then made
/// least under the budget (`BudgetAllocation`): never more than by the best single choice of these
/// candidates.
enum BudgetPass {
  /// Groups that are tried.
  ///
  /// Those that do not divide a width fall back as in `quantize`, and what two come to alike is
  /// measured once. 192 divides widths, such as 576, that 128 does not.
  static let groups = [32, 64, 128, 192]
  /// Ranks that are tried, up to half the smaller side; 0 is no repair.
  static let ranks = [0, 4, 8, 16, 32, 64, 128]

  /// The recipe with an override for each weight in place of its `budget` stage.
  ///
  /// - Throws: `PipelineError.statisticsNeeded`, `.statisticsMissing`, what does not fit;
  ///   `.stage` for a budget that not even the cheapest choices keep, or for what a method throws.
  static func expanded(
    _ recipe: Recipe, for source: any TensorSource, options: PlanOptions,
    calibration: CalibrationInput?
  ) throws -> Recipe {
    guard case .budget(let budget)? = recipe.stages.first else { return recipe }
    var probe = recipe
    probe.stages = [.quantize(QuantizeOptions(bits: 4))]
    let classifier = TensorClassifier(source)
    var weights: [(tensor: TensorDescription, view: WeightView)] = []
    for tensor in source.tensors {
      guard recipe.overrides(for: tensor.name).isEmpty,
        case .compress(let compression) = try Planner.decide(
          tensor, classifier, probe)
      else { continue }
      weights.append((tensor, compression.view))
    }
    let bits = candidates(budget.totalBits)
    var layers: [[Candidate]] = []
    var energies: [Double] = []
    for (tensor, view) in weights {
      guard let calibration else {
        throw PipelineError.statisticsNeeded(
          tensor: tensor.name, rows: view.rows, columns: view.columns)
      }
      let statistics = try calibration.checkedInput(of: tensor.name, view: view)
      do {
        let (candidates, energy) = try measure(
          tensor, view, source, statistics, bits, WorkerPool(workers: options.workers))
        layers.append(candidates)
        energies.append(energy)
      } catch {
        throw PipelineError.stage(file: recipe.file, tensor: tensor.name, reason: "\(error)")
      }
    }
    let importances = LayerImportance.of(names: weights.map(\.tensor.name), energies: energies)
    for (index, importance) in importances.enumerated() {
      for choice in layers[index].indices { layers[index][choice].option.error *= importance }
    }
    let entries = weights.reduce(0) { $0 + $1.view.rows * $1.view.columns }
    let allowed = Int(budget.totalBits * Double(entries) / 8)
    guard let chosen = BudgetAllocation.choose(layers.map { $0.map(\.option) }, budget: allowed)
    else {
      let least = layers.reduce(0) { $0 + ($1.map(\.option.bytes).min() ?? 0) }
      throw PipelineError.stage(
        file: recipe.file, tensor: weights.first?.tensor.name ?? "",
        reason: "a budget of \(budget.totalBits) bits is less than the cheapest choices take "
          + "(\(Double(least) * 8 / Double(max(entries, 1)))); raise total_bits")
    }
    var result = recipe
    result.stages = [.quantize(QuantizeOptions(method: .gptq, bits: bits.first ?? 4))]
    for (index, choice) in chosen.enumerated() {
      let name = weights[index].tensor.name
      guard let selector = try? Selector("re:^\\Q\(name)\\E$") else { continue }
      result.overrides.append(
        Override(targets: [selector], action: .stages(layers[index][choice].stages)))
    }
    return result
  }

  /// Code lengths around a budget.
  static func candidates(_ totalBits: Double) -> [Int] {
    let middle = Int(totalBits)
    return Array(max(2, middle - 1)...min(8, middle + 1))
  }

  /// One way to store a weight.
  struct Candidate: Sendable {
    var option: StorageOption
    var stages: [Stage]
  }

  private static func measure(
    _ tensor: TensorDescription, _ view: WeightView, _ source: any TensorSource,
    _ statistics: InputStatistics, _ bits: [Int], _ pool: WorkerPool
  ) throws -> (candidates: [Candidate], energy: Double) {
    let original = view.matrix(from: try source.load(tensor).floats())
    guard let gram = statistics.gram else {
      throw QuantizationError.statisticsMismatch(
        rows: view.rows, columns: view.columns, gram: [0, 0])
    }
    let energy = try WeightedError.of(original, gram: gram, pool: pool)
    // Every weight has as many options in one order, so that the same one everywhere is a single
    // choice: groups and ranks that a weight cannot have stand for those it falls back to.
    let granularities = groups.map {
      GroupFallback.resolve(requested: $0, columns: view.columns).granularity
    }
    let firsts = granularities.map { granularities.firstIndex(of: $0) ?? 0 }
    let distinct = Set(firsts).sorted()
    let schemes = bits.flatMap { bits in distinct.map { (bits: bits, place: $0) } }
    let ranks = Self.ranks(rows: view.rows, columns: view.columns)
    let largest = ranks.max() ?? 0
    let measured = try pool.map(schemes.count) { index -> Measurement in
      let (bits, place) = schemes[index]
      let scheme = try IntegerScheme(
        bits: bits, symmetric: false, granularity: granularities[place])
      let (quantized, report) = try GPTQ.quantize(
        .dense(original, view: view), gram: gram, rows: statistics.rows, scheme: scheme)
      var measurement = Measurement(
        bytes: BaseForecast(rows: view.rows, columns: view.columns, quantizedBy: scheme).bytes,
        whole: report.isUninformed ? 0 : report.weightedError)
      // The decomposition costs as much as the sweep. Errors of one code length differ in size from
      // group to group and hardly in the shape of their spectrum, so one of them is decomposed.
      if largest > 0, place == distinct[0] {
        let lost = try LowRankParts.error(of: quantized, original: original, operation: "budget")
        let values = try ErrorCompensation.factors(lost, weighting: .gram(gram), rank: largest)
          .factors.singularValues
        measurement.shares = measurement.shares(of: values)
      }
      return measurement
    }
    func candidates(_ row: Int, _ place: Int) -> [Candidate] {
      let measurement = measured[row * distinct.count + place]
      let shares = measured[row * distinct.count].shares
      return ranks.map { rank in
        let left = measurement.left(rank: rank, shares: shares)
        let factors =
          rank == 0
          ? 0
          : FactorFormat.integer(bits: 8).bytes(
            rows: view.rows, columns: view.columns, rank: rank)
        var stages: [Stage] = [
          .quantize(
            QuantizeOptions(
              method: .gptq, bits: bits[row], group: .inputs(groups[distinct[place]]),
              symmetric: false))
        ]
        if rank > 0 {
          stages.append(.lowRank(LowRankOptions(method: .eora, amount: .rank(rank))))
        }
        return Candidate(
          option: StorageOption(
            bytes: measurement.bytes + factors, error: energy > 0 ? left / energy : 0),
          stages: stages)
      }
    }
    let all = bits.indices.flatMap { row in
      firsts.flatMap { candidates(row, distinct.firstIndex(of: $0) ?? 0) }
    }
    return (all, energy)
  }

  /// The ranks tried on a weight: none whose factors take more than one code bit, which divides the
  /// error by about four where a repair of that size does not come near it.
  ///
  /// As many for every weight: those beyond stand for the largest.
  static func ranks(rows: Int, columns: Int) -> [Int] {
    let bytes = FactorFormat.integer(bits: 8)
    let allowed = Self.ranks.last {
      $0 <= min(rows, columns) / 2
        && bytes.bytes(rows: rows, columns: columns, rank: $0) * 8 <= rows * columns
    }
    return Self.ranks.map { min($0, allowed ?? 0) }
  }

  /// What one code length and group costs a weight, and loses.
  private struct Measurement: Sendable {
    var bytes: Int
    /// tr(D·H·Dᵀ).
    var whole: Double
    /// The share of it that each rank of a repair takes away, the first rank first.
    var shares: [Double] = []

    func shares(of values: [Double]) -> [Double] {
      whole > 0 ? values.map { $0 * $0 / whole } : []
    }

    /// What a repair leaves, the leading directions among it counted `coherence` times more.
    func left(rank: Int, shares: [Double]) -> Double {
      let kept = shares.prefix(rank).reduce(0, +)
      let leading = shares.reduce(0, +) - kept
      return whole * (max(0, 1 - kept) + LayerImportance.coherence * leading)
    }
  }
}
