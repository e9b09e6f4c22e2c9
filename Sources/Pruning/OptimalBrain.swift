import LinearAlgebra
import Tensors
import Weights

/// Exact greedy pruning of small layers: the oracle of the others.
///
/// Frantar, Singh and Alistarh 2022, arXiv 2208.11580. In each row the entry with the least
/// w_q²/[H⁻¹]_qq goes next, the others take over its part, and H⁻¹ loses its row and column. A
/// fraction is one of the matrix: the steps of all rows are taken in the order of their losses.
public enum OptimalBrain {
  /// Widths beyond which the cost, a third power per output, is out of proportion.
  public static let largestWidth = 2048

  /// A weight with part of its base dropped and the rest at the optimum for its mask.
  ///
  /// (1) What is dropped is counted as in SparseGPT; (2) survivors solve the least-squares problem
  /// of their mask under the damped Gram matrix; (3) with a diagonal one the choice is that of
  /// |w|·√H_jj over the matrix; (4) what was masked before stays so.
  ///
  /// - Throws: `PruningError`; `.tooWide` beyond 2048 inputs.
  public static func prune(
    _ weight: CompressedWeight, gram: Matrix<Double>, amount: PruneAmount, damping: Double = 0.01,
    pool: WorkerPool = .serial
  ) throws(PruningError) -> CompressedWeight {
    let weight = weight.unpacked()
    guard weight.columns <= largestWidth else {
      throw .tooWide(operation: "obc", columns: weight.columns, limit: largestWidth)
    }
    guard weight.base != nil else { throw .weights(.baseMissing(operation: "prune")) }
    var amount = amount
    if case .fraction(let fraction, _) = amount { amount = .fraction(fraction, of: .matrix) }
    var target = weight.decodedBase()
    do {
      try amount.check(columns: weight.columns)
      try target.checkFinite()
    } catch { throw .weights(error) }
    let inputs = try InputGram(gram, rows: weight.rows, columns: weight.columns)
    guard inputs.isInformed, weight.rows > 0 else {
      do { return try MagnitudePruning.prune(weight, amount: amount) } catch {
        throw .weights(error)
      }
    }
    for column in inputs.dead { for row in 0..<target.rows { target[row, column] = 0 } }
    let inverse = try inverse(inputs.damped(damping))
    let traces = trace(target, weight.mask, inverse, amount, pool)
    let dropped = dropped(traces, weight, amount)
    var result = weight
    result.base = .dense(target)
    result = result.dropping(dropped, amount: amount)
    return try SurvivorRefit.refit(
      result, target: target, gram: gram, damping: damping, pool: pool
    ).weight
  }

  private static func inverse(_ gram: Matrix<Double>) throws(PruningError) -> Matrix<Double> {
    do {
      let factor = try Cholesky.factor(gram).factor
      return try Cholesky.solve(lower: factor, .identity(gram.rows))
    } catch { throw .linearAlgebra(error) }
  }

  /// The order in which a row's entries go, and what each step loses.
  struct Trace: Sendable {
    var columns: [Int] = []
    var losses: [Double] = []
  }

  private static func trace(
    _ target: Matrix<Float>, _ mask: Mask?, _ inverse: Matrix<Double>, _ amount: PruneAmount,
    _ pool: WorkerPool
  ) -> [Trace] {
    let pattern: KeepPattern? = if case .pattern(let found) = amount { found } else { nil }
    return
      (try? pool.map(target.rows) { (row: Int) throws -> Trace in
        var run = RowElimination(
          target.rows(row..<row + 1).values.map(Double.init), inverse, pattern)
        for column in 0..<target.columns where mask?.isKept(row, column) == false {
          run.eliminate(column, wasMasked: true)
        }
        while run.step() {}
        return run.trace
      }) ?? []
  }

  private static func dropped(
    _ traces: [Trace], _ weight: CompressedWeight, _ amount: PruneAmount
  ) -> [Bool] {
    let columns = weight.columns
    var dropped = [Bool](repeating: false, count: weight.rows * columns)
    guard case .fraction(let fraction, _) = amount else {
      for (row, trace) in traces.enumerated() {
        for column in trace.columns { dropped[row * columns + column] = true }
      }
      return dropped
    }
    // A row's losses grow from step to step but for rounding; their running maximum makes the
    // order of all steps keep that of every row.
    var steps: [(loss: Double, row: Int, step: Int)] = []
    for (row, trace) in traces.enumerated() {
      var largest = -1.0
      for (step, loss) in trace.losses.enumerated() {
        largest = max(largest, loss)
        steps.append((largest, row, step))
      }
    }
    steps.sort { ($0.loss, $0.row, $0.step) < ($1.loss, $1.row, $1.step) }
    let masked = steps.prefix { $0.loss < 0 }.count
    let count = max(masked, SparsityClaim.dropped(of: dropped.count, fraction: fraction))
    for step in steps.prefix(count) {
      dropped[step.row * columns + traces[step.row].columns[step.step]] = true
    }
    return dropped
  }
}

/// One row's greedy elimination.
private struct RowElimination {
  private var weights: [Double]
  private var inverse: [Double]
  private var isGone: [Bool]
  private var left: [Int]
  private let pattern: KeepPattern?
  private(set) var trace = OptimalBrain.Trace()

  init(_ weights: [Double], _ inverse: Matrix<Double>, _ pattern: KeepPattern?) {
    self.weights = weights
    self.inverse = inverse.values
    self.pattern = pattern
    isGone = Array(repeating: false, count: weights.count)
    // How many of each pattern may still go.
    left =
      pattern.map { found in
        Array(repeating: found.of - found.keep, count: weights.count / found.of)
      } ?? []
  }

  /// Drops the entry that costs least; false when none may go.
  mutating func step() -> Bool {
    let count = weights.count
    var best = -1
    var least = Double.infinity
    for column in 0..<count where !isGone[column] {
      if let pattern, left[column / pattern.of] <= 0 { continue }
      let score = weights[column] * weights[column] / inverse[column * count + column]
      if score < least { (best, least) = (column, score) }
    }
    guard best >= 0 else { return false }
    eliminate(best, wasMasked: false)
    return true
  }

  mutating func eliminate(_ column: Int, wasMasked: Bool) {
    let count = weights.count
    let pivot = inverse[column * count + column]
    let share = weights[column] / pivot
    trace.columns.append(column)
    // What was masked before goes first.
    trace.losses.append(wasMasked ? -1 : weights[column] * share)
    isGone[column] = true
    if let pattern { left[column / pattern.of] -= 1 }
    inverse.withUnsafeMutableBufferPointer { inverse in
      let line = Array(inverse[column * count..<(column + 1) * count])
      for row in 0..<count {
        weights[row] -= share * line[row]
        let factor = line[row] / pivot
        guard factor != 0, !isGone[row] else { continue }
        for other in 0..<count { inverse[row * count + other] -= factor * line[other] }
      }
    }
    weights[column] = 0
  }
}
