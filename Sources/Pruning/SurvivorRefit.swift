import LinearAlgebra
import Tensors
import Weights

/// The values of given survivors that lose least at the layer's output.
///
/// With K the kept inputs of a row: H_KK·w_K = H_K:·target, H damped (pruning.md P3b).
public enum SurvivorRefit {
  /// What a refit did.
  public struct Report: Sendable, Hashable {
    /// tr(D·H'·Dᵀ) before, H' the damped Gram matrix.
    public var before = 0.0
    /// The same after; at most `before`.
    public var after = 0.0
  }

  /// Widths up to which every row's system is solved by Cholesky's method; wider ones go by
  /// conjugate gradients, all rows at once.
  static let exactWidth = 256
  static let iterations = 60

  /// The weight with the values of its survivors fitted again.
  ///
  /// (1) The mask stays; (2) no row ends worse under the damped Gram matrix; (3) for widths up to
  /// 256 the values are the exact minimum, beyond that within 1e-6 of it or after 60 steps.
  ///
  /// - Parameter target: what the base ⊙ mask should stand for, out × in.
  /// - Throws: `PruningError`; a quantized base is `.weights(.baseQuantized)`.
  public static func refit(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: Matrix<Double>,
    damping: Double = 0.01, pool: WorkerPool = .serial
  ) throws(PruningError) -> (weight: CompressedWeight, report: Report) {
    let weight = weight.unpacked()
    guard let base = weight.base else { throw .weights(.baseMissing(operation: "a refit")) }
    guard !base.isQuantized else {
      throw .weights(.baseQuantized(operation: "a refit of survivors"))
    }
    let inputs = try InputGram(gram, rows: weight.rows, columns: weight.columns)
    guard let mask = weight.mask, inputs.isInformed, weight.rows > 0 else {
      return (weight, Report())
    }
    var wanted = target.converted(to: Double.self)
    for column in inputs.dead { for row in 0..<wanted.rows { wanted[row, column] = 0 } }
    let problem = SurvivorProblem(
      target: wanted, start: weight.decodedBase().converted(to: Double.self), mask: mask,
      gram: inputs.damped(damping))
    let solved = try problem.solve(pool: pool)
    var result = weight
    result.base = .dense(solved.values)
    let report = Report(before: solved.before * inputs.mean, after: solved.after * inputs.mean)
    guard report.after.isFinite, !solved.values.values.contains(where: { !$0.isFinite }) else {
      throw .overflow(operation: "a refit of survivors")
    }
    return (result, report)
  }
}

/// The least-squares problems of all rows of one weight, in tiles of rows.
struct SurvivorProblem: Sendable {
  let target: Matrix<Double>
  let start: Matrix<Double>
  let mask: Mask
  /// Damped, over its mean diagonal.
  let gram: Matrix<Double>

  static let tileRows = 64

  struct Solution: Sendable {
    var values: Matrix<Float>
    var before = 0.0
    var after = 0.0
  }

  func solve(pool: WorkerPool) throws(PruningError) -> Solution {
    let tiles = (target.rows + Self.tileRows - 1) / Self.tileRows
    let parts: [Solution]
    do {
      parts = try pool.map(tiles) { (tile: Int) throws -> Solution in
        let range = tile * Self.tileRows..<min((tile + 1) * Self.tileRows, target.rows)
        return target.columns <= SurvivorRefit.exactWidth
          ? try exact(range) : try descended(range)
      }
    } catch let error as PruningError {
      throw error
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch { preconditionFailure("a tile throws errors of its own, not \(error)") }
    return Solution(
      values: Matrix(
        rows: target.rows, columns: target.columns, values: parts.flatMap(\.values.values)),
      before: parts.reduce(0) { $0 + $1.before }, after: parts.reduce(0) { $0 + $1.after })
  }

  /// (a − target)·H·(a − target)ᵀ of each row, and (a − target)·H.
  private func energies(
    _ values: Matrix<Double>, _ range: Range<Int>
  ) throws -> (energies: [Double], products: Matrix<Double>) {
    var difference = values
    for index in difference.values.indices {
      difference.values[index] -= target.values[range.lowerBound * target.columns + index]
    }
    let product = try Gemm.product(difference, gram)
    let columns = target.columns
    let energies = (0..<range.count).map { row in
      (0..<columns).reduce(0.0) { sum, column in
        sum + difference.values[row * columns + column] * product.values[row * columns + column]
      }
    }
    return (energies, product)
  }

  /// Rows rounded as they are stored, each kept as it was where that is better.
  private func chosen(
    _ fitted: Matrix<Double>, _ range: Range<Int>, before: [Double]
  ) throws -> Solution {
    let columns = target.columns
    let old = start.rows(range)
    var rounded = fitted.converted(to: Float.self)
    var after = try energies(rounded.converted(to: Double.self), range).energies
    for row in 0..<range.count where !(after[row] <= before[row]) {
      for column in 0..<columns { rounded[row, column] = Float(old[row, column]) }
      after[row] = before[row]
    }
    return Solution(
      values: rounded, before: before.reduce(0, +), after: after.reduce(0, +))
  }

  func exact(_ range: Range<Int>) throws -> Solution {
    let before = try energies(start.rows(range), range).energies
    var fitted = start.rows(range)
    let right = try Gemm.product(target.rows(range), gram)
    var solvers: [[Int]: CholeskyResult<Double>] = [:]
    for (index, row) in range.enumerated() {
      let kept = (0..<target.columns).filter { mask.isKept(row, $0) }
      guard !kept.isEmpty else { continue }
      let factor: CholeskyResult<Double>
      if let known = solvers[kept] {
        factor = known
      } else {
        var system = Matrix<Double>(rows: kept.count, columns: kept.count, repeating: 0)
        for (i, from) in kept.enumerated() {
          for (j, to) in kept.enumerated() { system[i, j] = gram[from, to] }
        }
        factor = try Cholesky.factor(system)
        solvers[kept] = factor
      }
      let side = Matrix<Double>(
        rows: kept.count, columns: 1, values: kept.map { right[index, $0] })
      let solution = try Cholesky.solve(lower: factor.factor, side)
      for (i, column) in kept.enumerated() { fitted[index, column] = solution.values[i] }
    }
    return try chosen(fitted, range, before: before)
  }

  /// Conjugate gradients with the diagonal as preconditioner; rows are independent.
  func descended(_ range: Range<Int>) throws -> Solution {
    let (count, columns) = (range.count, target.columns)
    let kept = range.flatMap { row in
      (0..<columns).map { mask.isKept(row, $0) ? 1.0 : 0.0 }
    }
    let inverse = (0..<columns).map { 1 / gram[$0, $0] }
    var values = start.rows(range)
    let (before, products) = try energies(values, range)
    var residual = products
    for index in residual.values.indices { residual.values[index] *= -kept[index] }
    var direction = residual
    var weightedSquares = [Double](repeating: 0, count: count)
    for row in 0..<count {
      for column in 0..<columns {
        let index = row * columns + column
        direction.values[index] *= inverse[column]
        weightedSquares[row] += direction.values[index] * residual.values[index]
      }
    }
    let first = weightedSquares
    for _ in 0..<SurvivorRefit.iterations {
      guard zip(weightedSquares, first).contains(where: { $0 > 1e-12 * $1 }) else { break }
      let image = try Gemm.product(direction, gram)
      for row in 0..<count where weightedSquares[row] > 1e-12 * first[row] {
        let line = row * columns..<(row + 1) * columns
        var curvature = 0.0
        for index in line { curvature += direction.values[index] * image.values[index] }
        guard curvature > 0 else { continue }
        let step = weightedSquares[row] / curvature
        var next = 0.0
        for index in line {
          values.values[index] += step * direction.values[index]
          residual.values[index] -= step * image.values[index] * kept[index]
          next +=
            residual.values[index] * residual.values[index] * inverse[index - line.lowerBound]
        }
        let share = next / weightedSquares[row]
        weightedSquares[row] = next
        for index in line {
          direction.values[index] =
            residual.values[index] * inverse[index - line.lowerBound]
            + share * direction.values[index]
        }
      }
    }
    return try chosen(values, range, before: before)
  }
}
