import LinearAlgebra
import Tensors

/// A Gram matrix that was looked at: sizes, finiteness, inputs that were never active.
struct InputGram: Sendable {
  /// As given, rows and columns of dead inputs cleared.
  let matrix: Matrix<Double>
  /// The mean of the diagonal, dead inputs counted.
  let mean: Double
  let dead: [Int]

  /// Below this part of the mean an input counts as dead, as in GPTQ.
  static let deadShare = 1e-10

  init(_ gram: Matrix<Double>, rows: Int, columns: Int) throws(PruningError) {
    guard gram.rows == columns, gram.columns == columns, columns > 0 else {
      throw .statisticsMismatch(rows: rows, columns: columns, found: [gram.rows, gram.columns])
    }
    if let index = Finiteness.firstNonFinite(gram.values) {
      throw .statisticsNotFinite(index: index)
    }
    for index in 0..<columns where gram[index, index] < 0 {
      throw .statisticsNegative(index: index, value: gram[index, index])
    }
    let mean = (0..<columns).reduce(0.0) { $0 + gram[$1, $1] / Double(columns) }
    dead = (0..<columns).filter { !(gram[$0, $0] > Self.deadShare * mean) }
    var matrix = gram
    for index in dead {
      for other in 0..<columns {
        matrix[index, other] = 0
        matrix[other, index] = 0
      }
    }
    self.matrix = matrix
    self.mean = mean
  }

  /// Whether any input was active.
  var isInformed: Bool { mean > 0 && mean.isFinite && dead.count < matrix.rows }

  /// The matrix over its mean diagonal, 1 for dead inputs.
  func normalized<S: BLASScalar>(as: S.Type) -> Matrix<S> {
    let scale = 1 / mean
    var result = Matrix<S>(
      rows: matrix.rows, columns: matrix.columns, values: matrix.values.map { S($0 * scale) })
    for index in dead { result[index, index] = 1 }
    return result
  }

  /// The mean diagonal of the normalized matrix: more than 1 with dead inputs, which count 1.
  var normalizedMean: Double { 1 + Double(dead.count) / Double(matrix.rows) }

  /// The Cholesky factor of the normalized matrix in reversed order: L·Lᵀ = J·H·J.
  func reversedFactor<S: BLASScalar>(
    damping: Double, pool: WorkerPool
  ) throws(LinearAlgebraError) -> CholeskyResult<S> {
    let count = matrix.rows
    let scale = 1 / mean
    var isDead = [Bool](repeating: false, count: count)
    for index in dead { isDead[index] = true }
    let (gram, flags) = (matrix, isDead)
    return try Cholesky.factor(order: count, damping: damping, pool: pool) {
      (row: Int, target: UnsafeMutablePointer<S>) -> Void in
      gram.values.withUnsafeBufferPointer { source in
        let end = (count - row) * count - 1
        for column in 0...row { (target + column).initialize(to: S(source[end - column] * scale)) }
      }
      if flags[count - 1 - row] { target[row] = 1 }
    }
  }

  /// The normalized matrix with damping on its diagonal.
  func damped(_ damping: Double) -> Matrix<Double> {
    var result = normalized(as: Double.self)
    let mean = (0..<result.rows).reduce(0.0) { $0 + result[$1, $1] / Double(result.rows) }
    for index in 0..<result.rows { result[index, index] += damping * mean }
    return result
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
