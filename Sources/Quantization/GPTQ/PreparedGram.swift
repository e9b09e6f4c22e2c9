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

  init(_ gram: Matrix<Double>, weight: Matrix<Float>) throws(QuantizationError) {
    let count = weight.columns
    guard gram.rows == count, gram.columns == count, count > 0 else {
      throw .statisticsMismatch(
        rows: weight.rows, columns: count, gram: [gram.rows, gram.columns])
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

  var diagonal: [Double] { (0..<matrix.rows).map { matrix[$0, $0] } }

  /// Columns of dead inputs multiply zeros: they must not widen a grid.
  func clearDead(_ weight: inout Matrix<Float>) {
    for column in dead { for row in 0..<weight.rows { weight[row, column] = 0 } }
  }

  /// The matrix over its mean diagonal in another order, 1 for dead inputs.
  func normalized<S: SweepScalar>(in order: [Int]) -> Matrix<S> {
    let count = order.count
    let scale = 1 / mean
    var result = Matrix<S>(rows: count, columns: count) { target in
      matrix.values.withUnsafeBufferPointer { source in
        for (row, from) in order.enumerated() {
          let line = from * count
          for (column, other) in order.enumerated() {
            target.initializeElement(at: row * count + column, to: S(source[line + other] * scale))
          }
        }
      }
    }
    let isDead = Set(dead)
    for (row, from) in order.enumerated() where isDead.contains(from) { result[row, row] = 1 }
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
