import LinearAlgebra
import Tensors

/// W replaced by two factors altogether: SVD-LLM, FWSVD, ASVD (low-rank.md §9 to §11).
public enum Factorization {
  /// The largest rank whose two factors hold at most this share of the weight's numbers.
  ///
  /// k = ⌊m·n·ρ/(m + n)⌋, at least 1 and at most min(m, n); factors save numbers only below
  /// m·n/(m + n).
  public static func rank(rows: Int, columns: Int, keeping share: Double) -> Int {
    let rank = Int(Double(rows) * Double(columns) * share / Double(rows + columns))
    return min(max(rank, 1), min(rows, columns))
  }

  /// The smallest rank whose squared singular values reach a share of all of them.
  ///
  /// - Parameter spectrum: singular values, descending.
  public static func rank(spectrum: [Double], energy share: Double) -> Int {
    let total = spectrum.reduce(0) { $0 + $1 * $1 }
    guard total > 0 else { return 1 }
    var sum = 0.0
    for (index, value) in spectrum.enumerated() {
      sum += value * value
      if sum >= share * total { return index + 1 }
    }
    return max(spectrum.count, 1)
  }

  /// FWSVD's weight of each input: the root of its column's Fisher information, summed over
  /// outputs (rows), of a weight that is out × in.
  public static func fisherRoots(_ fisher: Matrix<Double>) -> [Double] {
    var sums = [Double](repeating: 0, count: fisher.columns)
    for row in 0..<fisher.rows {
      for column in 0..<fisher.columns { sums[column] += max(0, fisher[row, column]) }
    }
    return sums.map { $0.squareRoot() }
  }

  /// The factors that stand for W: as `ErrorCompensation.factors`, with Δ = W.
  ///
  /// With a Gram matrix this is SVD-LLM's truncation: dropping components costs exactly the sum of
  /// their σ² at the layer's output; with a diagonal FWSVD or ASVD; without a weighting plain SVD.
  public static func factors<S: BLASScalar>(
    _ matrix: Matrix<S>, weighting: InputWeighting, rank: Int,
    options: Projection.IterativeOptions = Projection.IterativeOptions(),
    method: String = "svd_llm", pool: WorkerPool = .serial
  ) throws -> (factors: ThinFactors<S>, report: IterationReport?) {
    try ErrorCompensation.factors(
      matrix, weighting: weighting, rank: rank, options: options, method: method, pool: pool)
  }
}
