import LinearAlgebra
import Tensors
import Weights

/// Whole inputs of a weight taken out, so that the matrices before and after become smaller.
///
/// Feed-forward channels and heads are inputs of the map that follows them: which go is decided
/// there, and what the rest can make good is made good there (pruning.md P7, P15d; the reformation
/// step of "Search for Efficient LLMs", solved exactly).
public enum StructuredPruning {
  /// What each input contributes to the outputs by itself: Σ_i W_ic² · Σ x_c².
  ///
  /// - Throws: `PruningError.statisticsMismatch`.
  public static func importance(
    _ weight: Matrix<Float>, squares: [Double]
  ) throws(PruningError) -> [Double] {
    guard squares.count == weight.columns else {
      throw .statisticsMismatch(
        rows: weight.rows, columns: weight.columns, found: [squares.count])
    }
    var result = [Double](repeating: 0, count: weight.columns)
    for row in 0..<weight.rows {
      for column in 0..<weight.columns {
        let value = Double(weight[row, column])
        result[column] += value * value * squares[column]
      }
    }
    return result
  }

  /// The inputs of the most important units, `count` of them, in ascending order.
  ///
  /// A unit is a run of `unit` inputs that go together. Of equals the lower one stays.
  public static func kept(importance: [Double], unit: Int, count: Int) -> [Int] {
    precondition(unit > 0 && importance.count % unit == 0, "units of \(unit)")
    let sums = stride(from: 0, to: importance.count, by: unit).map { first in
      importance[first..<first + unit].reduce(0, +)
    }
    precondition(count >= 0 && count <= sums.count, "\(count) of \(sums.count) units")
    let order = sums.indices.sorted { (-sums[$0], $0) < (-sums[$1], $1) }
    return order.prefix(count).sorted().flatMap { $0 * unit..<($0 + 1) * unit }
  }

  /// The weight of the kept inputs that loses least at the outputs: W·H_:K·H_KK⁻¹, out × kept, with
  /// H damped.
  ///
  /// (1) Its damped error is at most that of leaving the others out; (2) with a diagonal Gram matrix
  /// it is the kept columns as they are; (3) keeping everything changes nothing but rounding.
  ///
  /// - Throws: `PruningError`.
  public static func corrected(
    _ weight: Matrix<Float>, gram: Matrix<Double>, keeping kept: [Int], damping: Double = 0.01,
    pool: WorkerPool = .serial
  ) throws(PruningError) -> Matrix<Float> {
    let inputs = try InputGram(gram, rows: weight.rows, columns: weight.columns)
    let plain = selecting(weight, columns: kept)
    guard inputs.isInformed, !kept.isEmpty else { return plain }
    let damped = inputs.damped(damping)
    let count = kept.count
    var across = Matrix<Double>(rows: weight.columns, columns: count, repeating: 0)
    for row in 0..<weight.columns {
      for (index, column) in kept.enumerated() { across[row, index] = damped[row, column] }
    }
    var inner = Matrix<Double>(rows: count, columns: count, repeating: 0)
    for (row, from) in kept.enumerated() {
      for column in 0..<count { inner[row, column] = across[from, column] }
    }
    do {
      let right = try Gemm.product(weight.converted(to: Double.self), across, pool: pool)
      let factor = try Cholesky.factor(inner).factor
      let solved = try Cholesky.solve(lower: factor, right.transposed).transposed
      let result = solved.converted(to: Float.self)
      guard !result.values.contains(where: { !$0.isFinite }) else {
        throw PruningError.overflow(operation: "structured pruning")
      }
      return result
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch let error as PruningError {
      throw error
    } catch { preconditionFailure("algebra throws LinearAlgebraError, not \(error)") }
  }

  /// Some columns of a weight.
  public static func selecting(_ weight: Matrix<Float>, columns kept: [Int]) -> Matrix<Float> {
    var result = Matrix<Float>(rows: weight.rows, columns: kept.count, repeating: 0)
    for row in 0..<weight.rows {
      for (index, column) in kept.enumerated() { result[row, index] = weight[row, column] }
    }
    return result
  }

  /// The columns back in their places, the others zero: the same map for whoever still makes all
  /// inputs.
  public static func spreading(
    _ weight: Matrix<Float>, to kept: [Int], of columns: Int
  ) -> Matrix<Float> {
    var result = Matrix<Float>(rows: weight.rows, columns: columns, repeating: 0)
    for row in 0..<weight.rows {
      for (index, column) in kept.enumerated() { result[row, column] = weight[row, index] }
    }
    return result
  }
}
