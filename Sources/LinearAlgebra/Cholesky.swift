import Tensors

/// One try at a factorisation.
public struct CholeskyAttempt: Sendable, Hashable {
  /// What was added to the diagonal, relative to its mean.
  public let damping: Double
  /// The row whose pivot was not positive; nil when the try succeeded.
  public let failedAt: Int?
}

/// A triangular factor and how it was come by.
public struct CholeskyResult<S: BLASScalar>: Sendable {
  /// n × n, zeros in the other half.
  public let factor: Matrix<S>
  /// The damping of the try that succeeded, relative to the mean diagonal.
  public let dampingUsed: Double
  /// Every try, the last one the successful one; more than one belongs in a report.
  public let attempts: [CholeskyAttempt]
}

/// Triangular factors of symmetric positive definite matrices.
///
/// Both halves of the input must be filled; which of them is read is not promised. A matrix that
/// is not numerically positive definite is tried again with more on its diagonal, by the ladder of
/// `dampings(from:)`; every try is recorded and none is silent.
public enum Cholesky {
  /// The lower L with L·Lᵀ = H + dampingUsed · mean(diag H) · I.
  ///
  /// - Parameter damping: the first rung, relative to the mean diagonal.
  /// - Throws: `LinearAlgebraError.notFinite`, `.notSquare`, `.empty`, `.tooLarge`,
  ///   `.parameterOutOfRange`, `.notPositiveDefinite` when the ladder ends.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func factor<S: BLASScalar>(
    _ matrix: Matrix<S>, damping: Double = 0
  ) throws(LinearAlgebraError) -> CholeskyResult<S> {
    try climb(matrix, damping: damping, routine: "Cholesky.factor") { damped, order in
      let info = S._potrf(columnMajorUpper, order, &damped.values, order)
      Triangular.clearOther(&damped, than: .lower)
      return info
    }
  }

  /// The upper U with UᵀU = (H + dampingUsed · mean(diag H) · I)⁻¹: what GPTQ and SparseGPT sweep
  /// with.
  ///
  /// With the order of rows and columns reversed, L = chol(JHJ) gives R = JLJ, upper with H = RRᵀ,
  /// and U = R⁻¹: half the work of inverting first, and more accurate. Reversing both orders is
  /// reversing the row-major array.
  ///
  /// - Throws: as `factor(_:damping:)`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func inverseUpperFactor<S: BLASScalar>(
    _ matrix: Matrix<S>, damping: Double = 0
  ) throws(LinearAlgebraError) -> CholeskyResult<S> {
    try climb(matrix, damping: damping, routine: "Cholesky.inverseUpperFactor") { damped, order in
      damped.values.reverse()
      let info = S._potrf(columnMajorUpper, order, &damped.values, order)
      guard info == 0 else { return info }
      Triangular.clearOther(&damped, than: .lower)
      damped.values.reverse()
      // R's diagonal is positive, so inverting it cannot fail.
      return S._trtri(columnMajorLower, order, &damped.values, order)
    }
  }

  /// H⁻¹ · B from H's lower factor.
  ///
  /// - Throws: as `Triangular.solve`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func solve<S: BLASScalar>(
    lower: Matrix<S>, _ right: Matrix<S>
  ) throws(LinearAlgebraError) -> Matrix<S> {
    let half = try Triangular.solve(lower, .lower, right)
    return try Triangular.solve(lower, .lower, transposed: true, half)
  }

  /// The ladder: the damping asked for, then tenfold each time, at least 1e-8, up to 1.
  public static func dampings(from first: Double) -> [Double] {
    var result = [first]
    while let last = result.last {
      let next = max(last * 10, 1e-8)
      if next > 1 + 1e-9 { break }
      result.append(next)
    }
    return result
  }

  /// The row-major lower half, as the column-major library names it: UᵀU there is LLᵀ here.
  private static let columnMajorUpper = CChar(UInt8(ascii: "U"))
  /// The row-major upper half.
  private static let columnMajorLower = CChar(UInt8(ascii: "L"))

  private static func climb<S: BLASScalar>(
    _ matrix: Matrix<S>, damping: Double, routine: String,
    _ attempt: (inout Matrix<S>, Int32) -> Int32
  ) throws(LinearAlgebraError) -> CholeskyResult<S> {
    let order = try Workspace.order(routine, of: matrix)
    try Finiteness.check(matrix, routine: routine)
    guard damping >= 0, damping.isFinite else {
      throw .parameterOutOfRange(
        routine: routine, name: "damping", value: "\(damping)", allowed: "0 or a positive number")
    }
    BLAS.prepare()
    let mean =
      (0..<matrix.rows).reduce(0.0) { $0 + Double(matrix[$1, $1]) } / Double(matrix.rows)
    var attempts: [CholeskyAttempt] = []
    // With a mean diagonal that is not positive, no multiple of it can help.
    for rung in mean > 0 ? dampings(from: damping) : [damping] {
      var damped = matrix
      if rung > 0 {
        for index in 0..<matrix.rows { damped[index, index] += S(rung * mean) }
      }
      let info = attempt(&damped, order)
      try Workspace.checkArguments(info, routine)
      attempts.append(CholeskyAttempt(damping: rung, failedAt: info == 0 ? nil : Int(info) - 1))
      if info == 0 {
        return CholeskyResult(factor: damped, dampingUsed: rung, attempts: attempts)
      }
    }
    throw .notPositiveDefinite(
      routine: routine, order: matrix.rows, dampings: attempts.map(\.damping),
      failedAt: attempts.last?.failedAt ?? 0)
  }
}
