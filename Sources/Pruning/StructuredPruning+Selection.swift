import LinearAlgebra
import Tensors
import Weights

extension StructuredPruning {
  /// The inputs of the `count` units that stay when units leave one after the other, each the one
  /// whose loss is least after the rest has made good what it can.
  ///
  /// The optimal brain surgeon's choice for whole columns (all rows share H): with V = W as updated
  /// so far, taking out the inputs D costs tr(V_D·(H⁻¹_DD)⁻¹·V_Dᵀ), and the rest becomes
  /// V − V_D·(H⁻¹_DD)⁻¹·H⁻¹_D: (pruning.md P15d). Units that leave in one round were compared before
  /// it; there are at least `rounds` of them.
  ///
  /// (1) With a diagonal Gram matrix it is the choice by `importance`, H damped; (2) inputs that were never
  /// active leave first; (3) of equals the lower unit stays.
  ///
  /// - Parameters:
  ///   - gram: Σ xᵀx, in × in.
  ///   - unit: a run of so many inputs goes together.
  /// - Throws: `PruningError`.
  public static func keptAfterCorrection(
    _ weight: Matrix<Float>, gram: Matrix<Double>, unit: Int, count: Int, damping: Double = 0.01,
    pool: WorkerPool = .serial
  ) throws(PruningError) -> [Int] {
    precondition(unit > 0 && weight.columns % unit == 0, "units of \(unit)")
    let units = weight.columns / unit
    precondition(count >= 0 && count <= units, "\(count) of \(units) units")
    let inputs = try InputGram(gram, rows: weight.rows, columns: weight.columns)
    guard inputs.isInformed else { return Array(0..<count * unit) }
    do {
      var state = try ColumnSurgeon(weight, inputs, unit: unit, damping: damping, pool: pool)
      let batch = max(1, (units - count + rounds - 1) / rounds)
      while state.left.count > count {
        try state.remove(try state.cheapest(min(batch, state.left.count - count)))
      }
      return state.left.flatMap { $0 * unit..<($0 + 1) * unit }
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch { preconditionFailure("algebra throws LinearAlgebraError, not \(error)") }
  }

  /// Rounds in which units leave: each costs two products over the whole matrix.
  static let rounds = 64
}

/// The columns of one weight while they leave.
private struct ColumnSurgeon {
  /// Units that have not left, ascending.
  private(set) var left: [Int]
  private let unit: Int
  private let pool: WorkerPool
  /// V, out × in; zero where inputs have left.
  private var values: Matrix<Double>
  /// H⁻¹ of what is left.
  private var inverse: Matrix<Double>

  init(
    _ weight: Matrix<Float>, _ inputs: InputGram, unit: Int, damping: Double, pool: WorkerPool
  ) throws(LinearAlgebraError) {
    self.unit = unit
    self.pool = pool
    left = Array(0..<weight.columns / unit)
    values = weight.converted(to: Double.self)
    for column in inputs.dead { for row in 0..<values.rows { values[row, column] = 0 } }
    let factor = try Cholesky.factor(inputs.damped(damping)).factor
    inverse = try Cholesky.solve(lower: factor, .identity(weight.columns))
  }

  /// The units that cost least to take out.
  func cheapest(_ count: Int) throws(LinearAlgebraError) -> [Int] {
    var costs: [(cost: Double, unit: Int)] = []
    costs.reserveCapacity(left.count)
    if unit == 1 {
      var squares = [Double](repeating: 0, count: values.columns)
      for row in 0..<values.rows {
        for column in 0..<values.columns {
          let value = values.values[row * values.columns + column]
          squares[column] += value * value
        }
      }
      for unit in left { costs.append((squares[unit] / inverse[unit, unit], unit)) }
    } else {
      for unit in left { costs.append((try cost(of: unit), unit)) }
    }
    costs.sort { ($0.cost, -$0.unit) < ($1.cost, -$1.unit) }
    return costs.prefix(count).map(\.unit)
  }

  /// tr(V_D·(H⁻¹_DD)⁻¹·V_Dᵀ) of one unit.
  private func cost(of number: Int) throws(LinearAlgebraError) -> Double {
    let columns = Array(number * unit..<(number + 1) * unit)
    let part = selected(values, columns: columns)
    let factor = try Cholesky.factor(selected(inverse, rows: columns, columns: columns)).factor
    let half = try Triangular.solve(factor, .lower, part.transposed)
    return half.values.reduce(0) { $0 + $1 * $1 }
  }

  /// Takes units out, the rest making good what it can.
  mutating func remove(_ units: [Int]) throws {
    let columns = units.sorted().flatMap { $0 * unit..<($0 + 1) * unit }
    let factor = try Cholesky.factor(selected(inverse, rows: columns, columns: columns)).factor
    // (H⁻¹_DD)⁻¹ · H⁻¹_D:
    let shares = try Cholesky.solve(
      lower: factor, selected(inverse, rows: columns, columns: Array(0..<inverse.columns)))
    try subtract(shares, columns, from: &values)
    try subtract(shares, columns, from: &inverse)
    let gone = Set(units)
    left.removeAll { gone.contains($0) }
    for column in columns {
      for row in 0..<values.rows { values[row, column] = 0 }
      for other in 0..<inverse.columns {
        inverse[column, other] = 0
        inverse[other, column] = 0
      }
    }
  }

  /// matrix ← matrix − matrix_:D · shares.
  private func subtract(
    _ shares: Matrix<Double>, _ columns: [Int], from matrix: inout Matrix<Double>
  ) throws {
    let product = try Gemm.product(selected(matrix, columns: columns), shares, pool: pool)
    for index in matrix.values.indices { matrix.values[index] -= product.values[index] }
  }

  private func selected(
    _ matrix: Matrix<Double>, rows: [Int]? = nil, columns: [Int]
  ) -> Matrix<Double> {
    let rows = rows ?? Array(0..<matrix.rows)
    var result = Matrix<Double>(rows: rows.count, columns: columns.count, repeating: 0)
    for (row, from) in rows.enumerated() {
      for (column, to) in columns.enumerated() { result[row, column] = matrix[from, to] }
    }
    return result
  }
}
