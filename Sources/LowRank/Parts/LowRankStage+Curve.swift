import LinearAlgebra
import Tensors
import Weights

extension LowRankStage {
  /// What a stage would leave at every rank from 0 on: the squared weighted error as a share of the
  /// weight's own, not increasing.
  ///
  /// - Parameter limit: the last rank.
  /// - Throws: as `run`.
  public static func curve(
    _ choice: LowRankChoice, on weight: CompressedWeight, original: Matrix<Float>,
    statistics: LowRankStatistics, limit: Int, pool: WorkerPool = .serial
  ) throws -> [Double] {
    let name = choice.method.rawValue
    let target =
      choice.role == .repair
      ? try LowRankParts.error(of: weight, original: original, operation: name)
      : try LowRankParts.target(of: weight, original: original, operation: name)
    var notes: [String] = []
    let weighting = try weighting(for: choice, statistics, columns: target.columns, &notes)
    var seen = original
    weight.site?.unfold(&seen)
    let energy = try weighting.energy(of: seen, pool: pool)
    var left = try weighting.energy(of: target, pool: pool)
    guard energy > 0, left > 0, limit >= 1 else {
      return [Double](repeating: 0, count: max(limit, 0) + 1)
    }
    let values = try ErrorCompensation.factors(
      target, weighting: weighting, rank: min(limit, target.rows, target.columns),
      options: Projection.IterativeOptions(seed: choice.seed, stream: choice.stream),
      method: name, pool: pool
    ).factors.singularValues
    return [left / energy]
      + values.map {
        left = max(0, left - $0 * $0)
        return left / energy
      }
  }
}

extension InputWeighting {
  /// tr(W·M·Wᵀ), in f64.
  func energy(of matrix: Matrix<Float>, pool: WorkerPool) throws -> Double {
    let wide = matrix.inDouble
    switch self {
    case .none: return wide.squaredNorm
    case .diagonal(let root): return wide.scalingColumns(by: root).squaredNorm
    case .covariance(let covariance):
      return try wide.multiplied(by: covariance, pool: pool).squaredNorm
    case .gram(let gram):
      let product = try wide.multiplied(by: gram, pool: pool)
      return zip(product.values, wide.values).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }
}
