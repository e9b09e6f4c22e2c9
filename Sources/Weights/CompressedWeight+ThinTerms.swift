import LinearAlgebra
import Tensors

/// A term of the product that goes through few numbers: n × width on the input side, and a part
/// that is outputs × width.
///
/// Outlier columns (the gathered inputs, the columns' values) and low-rank paths (A·x, B) alike.
struct ThinTerm: Sendable {
  let inputs: Matrix<Float>
  let outputs: Base

  /// Adds the term to some outputs of y.
  func add(
    outputs range: Range<Int>, rows count: Int, into y: UnsafeMutablePointer<Float>, stride: Int
  ) {
    let width = inputs.columns
    guard width > 0 else { return }
    let part = outputs.decoded(rows: range)
    part.values.withUnsafeBufferPointer { partValues in
      inputs.values.withUnsafeBufferPointer { inputValues in
        guard let b = partValues.baseAddress, let a = inputValues.baseAddress else { return }
        BLAS.gemm(
          m: count, n: range.count, k: width, alpha: 1, a: a, lda: width, transposeA: false,
          b: b, ldb: width, transposeB: true, beta: 1, c: y + range.lowerBound, ldc: stride)
      }
    }
  }
}

extension CompressedWeight {
  /// The thin terms for rows of transformed inputs.
  func thinTerms(_ x: UnsafePointer<Float>, rows count: Int, pool: WorkerPool) -> [ThinTerm] {
    var terms: [ThinTerm] = []
    if let outliers, outliers.count > 0 {
      let numbers = outliers.columnNumbers
      let gathered = Matrix<Float>(rows: count, columns: numbers.count) { target in
        for row in 0..<count {
          for (index, column) in numbers.enumerated() {
            target.initializeElement(
              at: row * numbers.count + index, to: x[row * columns + column])
          }
        }
      }
      terms.append(
        ThinTerm(inputs: gathered, outputs: .dense(DenseBase(values: outliers.values))))
    }
    for path in lowRank {
      terms.append(
        ThinTerm(
          inputs: Self.product(x, rows: count, path.scaledA(), pool: pool), outputs: path.b))
    }
    return terms
  }

  /// x · Aᵀ, in tiles of 64 of A's rows.
  private static func product(
    _ x: UnsafePointer<Float>, rows count: Int, _ a: Matrix<Float>, pool: WorkerPool
  ) -> Matrix<Float> {
    let tile = 64
    return Matrix(rows: count, columns: a.rows) { target in
      a.values.withUnsafeBufferPointer { values in
        guard let start = values.baseAddress, let to = target.baseAddress else { return }
        nonisolated(unsafe) let (input, factor, output) = (x, start, to)
        pool.forEach((a.rows + tile - 1) / tile) { (index: Int) in
          let first = index * tile
          BLAS.gemm(
            m: count, n: min(tile, a.rows - first), k: a.columns, alpha: 1, a: input,
            lda: a.columns, transposeA: false, b: factor + first * a.columns, ldb: a.columns,
            transposeB: true, beta: 0, c: output + first, ldc: a.rows)
        }
      }
    }
  }
}
