import LinearAlgebra
import Tensors

/// The one kernel of the family: W_K = U_K·(U_KᵀW), U the left singular vectors of W·S
/// (low-rank.md §1.2).
///
/// A method says which weighting M = S·Sᵀ it uses and which end of the spectrum it keeps. No
/// inverse of S is ever formed, so a singular M does no harm.
public enum Projection {
  /// Which components are kept.
  public enum End: String, Sendable, Hashable {
    /// The largest.
    case leading
    /// The smallest.
    case trailing
  }

  /// The order above which the eigen-decomposition gives the kept vectors only.
  static let wholeSpectrumOrder = 1024

  /// The best factors of a rank, by a dense decomposition.
  ///
  /// (1) ‖(W − s·B·A)·S‖_F² is the sum of the other components' σ²; (2) the product's norm is never
  /// above W's; (3) scaling M changes nothing; (4) with M of zeros both factors are zero.
  ///
  /// Without a weighting, with a diagonal one, with CorDA's, and for the trailing end: the singular
  /// value decomposition of W·S. With a Gram matrix: the eigenvectors of W·H·Wᵀ in f64, which
  /// squares the singular values (those below 1e-8 of the largest are noise) and never leads
  /// through a root of H; a tall W is first replaced by the R of its QR decomposition.
  ///
  /// - Throws: `LowRankError.rankOutOfRange`, `.statisticsMismatch`, `.weightingNotFinite`;
  ///   `LinearAlgebraError`.
  public static func factors<S: BLASScalar>(
    of matrix: Matrix<S>, weighting: InputWeighting = .none, rank: Int, end: End = .leading,
    scale: Double = 1, method: String = "low rank", pool: WorkerPool = .serial
  ) throws -> ThinFactors<S> {
    try check(matrix, weighting, rank: rank, scale: scale, method: method)
    let count = min(matrix.rows, matrix.columns)
    if case .gram(let gram) = weighting, end == .leading {
      return try byEigenvectors(matrix, gram, rank: rank, scale: scale, pool: pool)
    }
    let weighted = try weighted(matrix, by: weighting, pool: pool)
    let decomposed = try SVD.exact(weighted)
    let kept = end == .leading ? 0..<rank : count - rank..<count
    let u = decomposed.u.columns(kept)
    let spectrum = decomposed.singularValues.map { max(0, Double($0)) }
    return .balanced(
      u: u, projected: try u.multiplied(by: matrix, transposeSelf: true, pool: pool),
      singularValues: Array(spectrum[kept]), largest: spectrum.first ?? 0, scale: scale,
      spectrum: spectrum)
  }

  /// What every solver checks first.
  static func check<S: BLASScalar>(
    _ matrix: Matrix<S>, _ weighting: InputWeighting, rank: Int, scale: Double, method: String
  ) throws {
    try checkOptions(matrix, weighting, rank: rank, scale: scale, method: method)
    try checkFinite(matrix)
  }

  static func checkOptions<S: BLASScalar>(
    _ matrix: Matrix<S>, _ weighting: InputWeighting, rank: Int, scale: Double, method: String
  ) throws {
    guard rank >= 1, rank <= min(matrix.rows, matrix.columns) else {
      throw LowRankError.rankOutOfRange(rank: rank, rows: matrix.rows, columns: matrix.columns)
    }
    guard scale > 0, scale.isFinite else {
      throw LowRankError.optionOutOfRange(
        name: "scale", value: "\(scale)", allowed: "a positive number")
    }
    try weighting.check(method, rows: matrix.rows, columns: matrix.columns)
  }

  static func checkFinite<S: BLASScalar>(_ matrix: Matrix<S>) throws {
    if let index = Finiteness.firstNonFinite(matrix.values) {
      throw LowRankError.weights(
        .notFinite(row: index / matrix.columns, column: index % matrix.columns))
    }
  }

  /// W·S for some S with S·Sᵀ = M.
  static func weighted<S: BLASScalar>(
    _ matrix: Matrix<S>, by weighting: InputWeighting, pool: WorkerPool
  ) throws -> Matrix<S> {
    switch weighting {
    case .none: matrix
    case .diagonal(let root): matrix.scalingColumns(by: root.map { S($0) })
    case .covariance(let covariance):
      try matrix.multiplied(by: Matrix<S>(rounding: covariance), pool: pool)
    case .gram(let gram):
      try matrix.multiplied(by: Matrix<S>(rounding: root(of: gram)), pool: pool)
    }
  }

  /// Q·√Λ of a Gram matrix, eigenvalues that rounding made negative clipped: good for singular ones.
  static func root(of gram: Matrix<Double>) throws -> Matrix<Double> {
    let eigen = try SymmetricEigen.all(gram)
    return eigen.vectors.scalingColumns(by: eigen.values.map { max(0, $0).squareRoot() })
  }

  private static func byEigenvectors<S: BLASScalar>(
    _ matrix: Matrix<S>, _ gram: Matrix<Double>, rank: Int, scale: Double, pool: WorkerPool
  ) throws -> ThinFactors<S> {
    var core = matrix.inDouble
    var frame: Matrix<Double>?
    if core.rows > core.columns {
      let reduced = try QR.thin(core)
      (frame, core) = (reduced.q, reduced.r)
    }
    var outer = try core.multiplied(by: gram, pool: pool).multiplied(
      by: core, transposeOther: true, pool: pool)
    symmetrise(&outer)
    let whole = outer.rows <= wholeSpectrumOrder || rank * 2 > outer.rows
    let eigen =
      whole
      ? try SymmetricEigen.all(outer) : try SymmetricEigen.largest(rank, of: outer)
    let spectrum = eigen.values.map { max(0, $0).squareRoot() }
    let kept = eigen.vectors.columns(0..<rank)
    let projected = try kept.multiplied(by: core, transposeSelf: true, pool: pool)
    let u = try frame.map { try $0.multiplied(by: kept, pool: pool) } ?? kept
    let wide = ThinFactors<Double>.balanced(
      u: u, projected: projected, singularValues: Array(spectrum[..<rank]),
      largest: spectrum.first ?? 0, scale: scale, spectrum: whole ? spectrum : nil)
    return ThinFactors<S>(
      b: Matrix(rounding: wide.b), a: Matrix(rounding: wide.a), scale: scale,
      singularValues: wide.singularValues, spectrum: wide.spectrum)
  }

  static func symmetrise(_ matrix: inout Matrix<Double>) {
    let order = matrix.rows
    matrix.values.withUnsafeMutableBufferPointer { values in
      for row in 0..<order {
        for column in 0..<row {
          let mean = (values[row * order + column] + values[column * order + row]) / 2
          values[row * order + column] = mean
          values[column * order + row] = mean
        }
      }
    }
  }
}
