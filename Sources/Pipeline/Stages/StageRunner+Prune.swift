import Architectures
import Pruning
import Quantization
import Tensors
import Weights

extension StageRunner {
  /// A pruning stage, with the statistics of the input as the base meets it.
  static func prune(
    _ weight: CompressedWeight, _ choice: PruneChoice, statistics: InputStatistics?,
    pool: WorkerPool, notes: inout [String]
  ) throws -> CompressedWeight {
    guard choice.method != .magnitude || choice.isRefitting else {
      return try MagnitudePruning.prune(weight, amount: choice.amount)
    }
    guard let statistics else {
      throw PruningError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, found: [0, 0])
    }
    let target = weight.decodedBase()
    var result: CompressedWeight
    switch choice.method {
    case .magnitude:
      result = try MagnitudePruning.prune(weight, amount: choice.amount)
    case .wanda:
      result = try Wanda.prune(
        weight, squares: try squares(statistics, weight), amount: choice.amount)
    case .optimalBrain:
      result = try OptimalBrain.prune(
        weight, gram: try gram(statistics, weight), amount: choice.amount,
        damping: choice.damping, pool: pool)
    case .sparseGPT:
      let gram = try gram(statistics, weight)
      let (pruned, report) = try SparseGPT.prune(
        weight, gram: gram, rows: statistics.rows, amount: choice.amount,
        rounding: choice.rounding?.scheme, options: SparseGPTOptions(damping: choice.damping),
        pool: pool)
      notes += report.warnings
      result = pruned
      if choice.rounding?.refitsScales == true {
        result = try ScaleRefit.refit(result, target: target, gram: gram, pool: pool).weight
      }
    }
    guard choice.isRefitting else { return result }
    return try SurvivorRefit.refit(
      result, target: target, gram: try gram(statistics, weight), damping: choice.damping,
      pool: pool
    ).weight
  }

  /// The Gram matrix of the input as the base meets it.
  private static func gram(
    _ statistics: InputStatistics, _ weight: CompressedWeight
  ) throws -> Matrix<Double> {
    guard var gram = statistics.gram else {
      throw PruningError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, found: [0, 0])
    }
    for transform in weight.site?.transforms ?? [] { transform.apply(toGram: &gram) }
    return gram
  }

  /// Σ x² of each input as the base meets it.
  private static func squares(
    _ statistics: InputStatistics, _ weight: CompressedWeight
  ) throws -> [Double] {
    guard weight.site?.transforms.isEmpty == false else { return statistics.squareSums }
    let gram = try gram(statistics, weight)
    return (0..<gram.rows).map { gram[$0, $0] }
  }
}
