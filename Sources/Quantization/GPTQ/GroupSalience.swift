import LinearAlgebra
import Tensors
import Weights

/// How much a group of inputs counts: the mean of w²/[H⁻¹]_jj (SliM-LLM, arXiv 2405.14917, as in
/// SparseGPT), what it would cost at least to leave an entry out.
enum GroupSalience {
  /// - Throws: `QuantizationError.linearAlgebra`.
  static func of(
    _ target: Matrix<Float>, gram: PreparedGram, damping: Double, group: Int
  ) throws(QuantizationError) -> [Double] {
    guard gram.isInformed else { return MixedBase.meanSquares(target, group: group) }
    var matrix = gram.matrix
    for index in matrix.values.indices { matrix.values[index] /= gram.mean }
    for index in gram.dead { matrix[index, index] = 1 }
    let factor: Matrix<Double>
    do {
      factor = try Cholesky.inverseUpperFactor(matrix, damping: damping).factor
    } catch { throw .linearAlgebra(error) }
    // [H⁻¹]_jj = Σ_i U_ij², U upper.
    var inverse = [Double](repeating: 0, count: target.columns)
    for row in 0..<factor.rows {
      for column in row..<factor.columns {
        inverse[column] += factor[row, column] * factor[row, column]
      }
    }
    var sums = [Double](repeating: 0, count: target.columns / group)
    for row in 0..<target.rows {
      for (column, index) in target.range(ofRow: row).enumerated() {
        let value = Double(target.values[index])
        sums[column / group] += value * value / inverse[column]
      }
    }
    return sums.map { $0 / Double(group * target.rows) }
  }
}
