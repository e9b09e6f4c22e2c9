import LinearAlgebra
import Tensors

/// Two thin factors that stand for s·B·A.
///
/// Balanced (low-rank.md §1.3): column i of B is U_i·√(σ_i/s), row i of A is P_i/√(s·σ_i), with
/// P = UᵀW. A component whose σ is zero to rounding is a pair of zeros.
public struct ThinFactors<S: BLASScalar>: Sendable {
  /// m × r.
  public var b: Matrix<S>
  /// r × n.
  public var a: Matrix<S>
  /// s; 1 when alpha is the rank.
  public var scale: Double
  /// The kept components' singular values of W·S, descending for the leading end.
  public var singularValues: [Double]
  /// All singular values of W·S, descending, where the solver knew them.
  public var spectrum: [Double]?

  public init(
    b: Matrix<S>, a: Matrix<S>, scale: Double = 1, singularValues: [Double] = [],
    spectrum: [Double]? = nil
  ) {
    self.b = b
    self.a = a
    self.scale = scale
    self.singularValues = singularValues
    self.spectrum = spectrum
  }

  public var rank: Int { a.rows }

  /// s·B·A, m × n.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public func product(pool: WorkerPool = .serial) throws -> Matrix<S> {
    try b.multiplied(by: scaledA, pool: pool)
  }

  private var scaledA: Matrix<S> {
    scale == 1 ? a : a.scalingRows(by: [S](repeating: S(scale), count: a.rows))
  }

  /// W − s·B·A, what a base keeps.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public func residual(of matrix: Matrix<S>, pool: WorkerPool = .serial) throws -> Matrix<S> {
    var rest = matrix
    try Gemm.subtract(b, scaledA, from: &rest, pool: pool)
    return rest
  }

  /// The factors of the transpose.
  var turned: ThinFactors {
    ThinFactors(
      b: a.transposed, a: b.transposed, scale: scale, singularValues: singularValues,
      spectrum: spectrum)
  }

  /// The balanced pair for U (m × r, orthonormal columns) and P (r × n).
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  static func balanced(
    u: Matrix<S>, projected: Matrix<S>, singularValues: [Double], largest: Double, scale: Double,
    spectrum: [Double]? = nil
  ) -> ThinFactors {
    let extent = Double(max(u.rows, projected.columns))
    let cutoff = extent * Double(S.ulpOfOne) * largest
    var (left, right): ([S], [S]) = ([], [])
    for value in singularValues {
      let counts = value > cutoff && value > 0
      left.append(counts ? S((value / scale).squareRoot()) : 0)
      right.append(counts ? S(1 / (value * scale).squareRoot()) : 0)
    }
    return ThinFactors(
      b: u.scalingColumns(by: left), a: projected.scalingRows(by: right), scale: scale,
      singularValues: singularValues, spectrum: spectrum)
  }
}
