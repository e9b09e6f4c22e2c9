import LinearAlgebra
import Tensors

/// How much an error in each input direction counts: the symmetric M of W·M·Wᵀ.
///
/// The one thing in which the methods of this room differ (low-rank.md §1.2): with S·Sᵀ = M, the
/// kept components are those of the singular value decomposition of W·S.
public enum InputWeighting: Sendable {
  /// M = I: every input counts alike (PiSSA, LoRC, LoftQ, MiLoRA).
  case none
  /// M = diag(d)², d ≥ 0, one number for each input (FWSVD, L²QER, QERA's approximation, ASVD).
  case diagonal([Double])
  /// M = H = XᵀX: the output's error is minimised (EoRA, QERA, SVD-LLM).
  case gram(Matrix<Double>)
  /// M = C², C symmetric: CorDA weighs with the covariance itself, not with its root.
  case covariance(Matrix<Double>)

  /// Makes sure of the size and of finite numbers.
  ///
  /// - Throws: `LowRankError.statisticsMismatch`, `.weightingNotFinite`.
  func check(_ method: String, rows: Int, columns: Int) throws(LowRankError) {
    let (width, values): (Int, [Double])
    switch self {
    case .none: return
    case .diagonal(let root): (width, values) = (root.count, root)
    case .gram(let matrix), .covariance(let matrix):
      (width, values) = (matrix.rows == matrix.columns ? matrix.rows : -1, matrix.values)
    }
    guard width == columns else {
      throw .statisticsMismatch(method: method, rows: rows, columns: columns, found: width)
    }
    if let index = Finiteness.firstNonFinite(values) {
      throw .weightingNotFinite(method: method, index: index)
    }
  }

  /// Whether nothing counts at all.
  var isZero: Bool {
    switch self {
    case .none: false
    case .diagonal(let root): root.allSatisfy { $0 == 0 }
    case .gram(let matrix), .covariance(let matrix):
      (0..<matrix.rows).allSatisfy { matrix[$0, $0] == 0 }
    }
  }
}

/// M as the iterative solver multiplies by it, in the solver's precision.
struct WeightingOperator<S: BLASScalar> {
  private enum Kind {
    case none
    case diagonal([S])
    case once(Matrix<S>)
    case twice(Matrix<S>)
  }
  private let kind: Kind
  /// What singular values of W·S are to be multiplied by, since M was made smaller.
  let unit: Double

  init(_ weighting: InputWeighting) {
    switch weighting {
    case .none: (kind, unit) = (.none, 1)
    case .diagonal(let root): (kind, unit) = (.diagonal(root.map { S($0 * $0) }), 1)
    case .gram(let matrix):
      let largest = Self.largest(matrix)
      (kind, unit) = (.once(Self.scaled(matrix, by: 1 / largest)), largest.squareRoot())
    case .covariance(let matrix):
      let largest = Self.largest(matrix)
      (kind, unit) = (.twice(Self.scaled(matrix, by: 1 / largest)), largest)
    }
  }

  /// The largest diagonal entry, by which a matrix is divided: only its directions count for the
  /// factors, and the squares of sums over a million tokens would leave f32's range.
  private static func largest(_ matrix: Matrix<Double>) -> Double {
    let largest = (0..<matrix.rows).reduce(0.0) { max($0, matrix[$1, $1]) }
    return largest > 0 ? largest : 1
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  private static func scaled(_ matrix: Matrix<Double>, by factor: Double) -> Matrix<S> {
    Matrix(rows: matrix.rows, columns: matrix.columns) { target in
      matrix.values.withUnsafeBufferPointer { source in
        for index in source.indices {
          target.initializeElement(at: index, to: S(source[index] * factor))
        }
      }
    }
  }

  /// M · x, x n × b.
  func applied(to x: Matrix<S>, pool: WorkerPool) throws -> Matrix<S> {
    switch kind {
    case .none: return x
    case .diagonal(let squares): return x.scalingRows(by: squares)
    case .once(let matrix): return try matrix.multiplied(by: x, pool: pool)
    case .twice(let matrix):
      return try matrix.multiplied(by: matrix.multiplied(by: x, pool: pool), pool: pool)
    }
  }
}
