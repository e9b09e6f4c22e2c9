import LinearAlgebra
import Tensors

/// A Gram matrix that was looked at: sizes, finiteness, inputs that were never active.
struct PreparedGram: Sendable {
  /// As given, rows and columns of dead inputs cleared.
  let matrix: Matrix<Double>
  /// The mean of the diagonal, dead inputs counted.
  let mean: Double
  let dead: [Int]

  /// Below this part of the mean an input counts as dead: one of 1e-12 survives a test against 0
  /// and then ruins the factor.
  static let deadShare = 1e-10

  /// - Parameter rows: those of the weight, whose columns are the inputs.
  init(
    _ gram: Matrix<Double>, rows: Int, columns count: Int
  ) throws(QuantizationError) {
    guard gram.rows == count, gram.columns == count, count > 0 else {
      throw .statisticsMismatch(
        rows: rows, columns: count, gram: [gram.rows, gram.columns])
    }
    if let index = Finiteness.firstNonFinite(gram.values) {
      throw .statisticsNotFinite(row: index / count, column: index % count)
    }
    for index in 0..<count where gram[index, index] < 0 {
      throw .statisticsNegative(index: index, value: gram[index, index])
    }
    let mean = (0..<count).reduce(0.0) { $0 + gram[$1, $1] / Double(count) }
    let dead = (0..<count).filter { !(gram[$0, $0] > Self.deadShare * mean) }
    var matrix = gram
    for index in dead {
      for other in 0..<count {
        matrix[index, other] = 0
        matrix[other, index] = 0
      }
    }
    self.matrix = matrix
    self.mean = mean
    self.dead = dead
  }

  /// Whether any input was active.
  var isInformed: Bool { mean > 0 && mean.isFinite && dead.count < matrix.rows }

  /// The mean diagonal of what is factored, dead inputs counted as 1.
  var normalizedMean: Double { 1 + Double(dead.count) / Double(matrix.rows) }

  var diagonal: [Double] { (0..<matrix.rows).map { matrix[$0, $0] } }

  /// Columns of dead inputs multiply zeros: they must not widen a grid.
  func clearDead(_ weight: inout Matrix<Float>) {
    for column in dead { for row in 0..<weight.rows { weight[row, column] = 0 } }
  }

  /// The Cholesky factor of the matrix over its mean diagonal, 1 for dead inputs, the order
  /// reversed: L·Lᵀ = J·H·J, so that R = J·L·J is upper with H = R·Rᵀ.
  ///
  /// - Returns: the factor, and every try, the last one the successful one.
  func factor<S: SweepScalar>(
    reversed order: [Int], damping: Double, pages: PageCache, pool: WorkerPool
  ) throws(LinearAlgebraError) -> (factor: SweepFactor<S>, attempts: [CholeskyAttempt]) {
    let count = order.count
    let scale = 1 / mean
    var isDead = [Bool](repeating: false, count: count)
    for index in dead { isDead[index] = true }
    let backwards: [Int] = order.reversed()
    let (gram, flags) = (matrix, isDead)
    var attempts: [CholeskyAttempt] = []
    let factor = try SweepFactor<S>(order: count, pages: pages) {
      (base: UnsafeMutablePointer<S>) throws(LinearAlgebraError) -> Void in
      attempts = try Cholesky.factor(order: count, damping: damping, pool: pool, into: base) {
        (row: Int, target: UnsafeMutablePointer<S>) -> Void in
        let from = backwards[row]
        gram.values.withUnsafeBufferPointer { source in
          backwards.withUnsafeBufferPointer { places in
            let line = from * count
            for column in 0...row {
              (target + column).initialize(to: S(source[line + places[column]] * scale))
            }
          }
        }
        if flags[from] { target[row] = 1 }
      }
    }
    return (factor, attempts)
  }

  func warnings(rows: Int?) -> [String] {
    var result: [String] = []
    if let rows, rows < matrix.rows {
      result.append(
        "calibrated on \(rows) rows for \(matrix.rows) inputs: the Gram matrix is singular, "
          + "the damping decides; give more text")
    }
    if isInformed, !dead.isEmpty {
      result.append(
        "\(dead.count) of \(matrix.rows) inputs were never active in calibration: "
          + "their weights become zero")
    }
    return result
  }
}
