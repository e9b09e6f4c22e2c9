import LinearAlgebra
import Tensors

extension LowRankPath {
  /// The number of singular directions.
  public var rank: Int { a.rows }

  /// A, `rank × columns`, with σ and the scale folded into its rows.
  func scaledA() -> Matrix<Float> {
    var matrix = a.decoded()
    let sigma = sigma?.floats()
    if sigma == nil, scale == 1 { return matrix }
    for row in 0..<matrix.rows {
      let factor = scale * (sigma?[row] ?? 1)
      for index in matrix.range(ofRow: row) { matrix.values[index] *= factor }
    }
    return matrix
  }

  /// s · B · diag(σ) · A of some rows.
  public func decoded(rows range: Range<Int>? = nil) -> Matrix<Float> {
    let range = range ?? 0..<b.rows
    var result = Matrix<Float>(rows: range.count, columns: a.columns, repeating: 0)
    let a = scaledA()
    result.values.withUnsafeMutableBufferPointer { target in
      if let start = target.baseAddress { add(to: start, rows: range, scaledA: a) }
    }
    return result
  }

  /// Adds some rows of the path, given A with its scales, to `range.count × columns` values.
  func add(
    to target: UnsafeMutablePointer<Float>, rows range: Range<Int>, scaledA a: Matrix<Float>
  ) {
    let b = b.decoded(rows: range)
    a.values.withUnsafeBufferPointer { aValues in
      b.values.withUnsafeBufferPointer { bValues in
        guard let aStart = aValues.baseAddress, let bStart = bValues.baseAddress else { return }
        BLAS.gemm(
          m: range.count, n: a.columns, k: a.rows, alpha: 1, a: bStart, lda: a.rows,
          transposeA: false, b: aStart, ldb: a.columns, transposeB: false, beta: 1, c: target,
          ldc: a.columns)
      }
    }
  }

  /// The stored tensors.
  public var payloads: [Tensor] { b.payloads + a.payloads + (sigma.map { [$0] } ?? []) }
}
