import Kernels
import LinearAlgebra
import Tensors

/// The factor of a Gram matrix as the sweep takes it.
///
/// With H = R·Rᵀ, R upper, and inputs before k changed by d_j = w_j − q_j, the best weight of input
/// k is w_k + Σ_j d_j·R_jk / R_kk: no inverse is needed, as 1/R_kk is SparseGPT's U_kk. R is the
/// Cholesky factor L of H in reversed order, read backwards; it stays reversed here, so that input
/// c is row columns − 1 − c of it, and a sweep goes from its last row to its first.
struct PruneFactor: Sendable {
  /// L with L·Lᵀ = J·H·J, H damped and over its mean diagonal.
  let lower: Matrix<Float>
  /// 1 over the diagonal of L·Lᵀ.
  let inverseDiagonal: [Float]
  let attempts: [CholeskyAttempt]
  let dampingUsed: Double

  /// In f32, or from a factorization in f64 where the damping leaves it badly conditioned.
  init(_ inputs: InputGram, damping: Double, pool: WorkerPool) throws(PruningError) {
    do {
      if damping >= 1e-3 {
        let found: CholeskyResult<Float> = try inputs.reversedFactor(damping: damping, pool: pool)
        (lower, attempts, dampingUsed) = (found.factor, found.attempts, found.dampingUsed)
      } else {
        let found: CholeskyResult<Double> = try inputs.reversedFactor(damping: damping, pool: pool)
        lower = found.factor.converted(to: Float.self)
        (attempts, dampingUsed) = (found.attempts, found.dampingUsed)
      }
    } catch { throw .linearAlgebra(error) }
    let count = inputs.matrix.rows
    let (mean, used) = (inputs.mean, dampingUsed)
    let dead = Set(inputs.dead)
    inverseDiagonal = (0..<count).map { position in
      let input = count - 1 - position
      let value = dead.contains(input) ? 1 : inputs.matrix[input, input] / mean
      return Float(1 / (value + used * inputs.normalizedMean))
    }
  }

  var count: Int { lower.rows }

  /// The transpose of a run's diagonal block, row after row.
  func packed(_ range: Range<Int>) -> [Float] {
    let count = count
    return lower.values.withUnsafeBufferPointer { values in
      var result: [Float] = []
      result.reserveCapacity(range.count * range.count)
      for column in range { for other in range { result.append(values[other * count + column]) } }
      return result
    }
  }

  /// target ← L · source, or Lᵀ · source; count × stride each.
  func multiply(
    _ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, stride: Int,
    transposed: Bool
  ) {
    let count = count
    lower.values.withUnsafeBufferPointer { values in
      guard let l = values.baseAddress else { return }
      // Whole blocks beyond the diagonal hold zeros.
      for first in Swift.stride(from: 0, to: count, by: Self.block) {
        let last = min(first + Self.block, count)
        let inner = transposed ? first..<count : 0..<last
        BLAS.gemm(
          m: last - first, n: stride, k: inner.count, alpha: 1,
          a: transposed
            ? l + inner.lowerBound * count + first : l + first * count + inner.lowerBound,
          lda: count, transposeA: transposed, b: source + inner.lowerBound * stride, ldb: stride,
          transposeB: false, beta: 0, c: target + first * stride, ldc: stride)
      }
    }
  }

  private static let block = 128
}
