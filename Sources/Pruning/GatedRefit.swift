import LinearAlgebra
import Tensors

/// The feed-forward part down(a(x) ⊙ up(x)) fitted again after channels have left, its gates as they
/// are.
///
/// With the gates' signals S = a(x) given, the outputs are linear in `up` for a given `down`, and in
/// `down` for a given `up`. Both are least-squares problems over the rows of a calibration text: the
/// first has K·d unknowns and goes some steps of preconditioned conjugate gradients, the second is
/// solved exactly; in turns (alternating least squares). A channel that stays can so take over what
/// one that left said, which a new `down` alone cannot make it do.
public enum GatedRefit {
  /// Some rows of a calibration text.
  public struct Rows: Sendable {
    /// What gate and up read, n × d.
    public var inputs: Matrix<Float>
    /// The gates' signals, n × K.
    public var gates: Matrix<Float>
    /// What the part should say, n × out.
    public var targets: Matrix<Float>

    public init(inputs: Matrix<Float>, gates: Matrix<Float>, targets: Matrix<Float>) {
      self.inputs = inputs
      self.gates = gates
      self.targets = targets
    }
  }

  /// Turns of both problems.
  public static let defaultTurns = 2
  /// Steps of conjugate gradients in each turn.
  static let steps = 10
  /// What holds `up` where it was, relative to the mean curvature; and `down`, which the rows tell
  /// far more about.
  static let (upDamping, downDamping) = (1e-3, 1e-4)

  /// Better `up` and `down`; (1) the rows' squared error does not grow; (2) without rows, or with
  /// nothing to make good, they stay as they are; (3) the same bits with any number of workers.
  ///
  /// - Parameters:
  ///   - up: K × d.
  ///   - down: out × K.
  /// - Throws: `PruningError`.
  public static func refit(
    up: Matrix<Float>, down: Matrix<Float>, rows: [Rows], turns: Int = defaultTurns,
    pool: WorkerPool = .serial
  ) throws(PruningError) -> (up: Matrix<Float>, down: Matrix<Float>) {
    let rows = rows.filter { $0.inputs.rows > 0 }
    guard !rows.isEmpty, up.rows > 0, up.columns > 0, down.rows > 0 else { return (up, down) }
    do {
      var (up, down) = (up, down)
      for _ in 0..<turns {
        let problem = UpProblem(up, down, rows, pool)
        guard let better = try problem.solved() else { break }
        up = better
        down = try solvedDown(up, down, rows, pool)
      }
      guard up.values.allSatisfy(\.isFinite), down.values.allSatisfy(\.isFinite) else {
        throw PruningError.overflow(operation: "structured pruning")
      }
      return (up, down)
    } catch let error as PruningError {
      throw error
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch { preconditionFailure("algebra throws LinearAlgebraError, not \(error)") }
  }

  /// a(x) ⊙ up(x) of some rows, n × K.
  public static func hidden(
    _ rows: Rows, up: Matrix<Float>, pool: WorkerPool
  ) throws(PruningError) -> Matrix<Float> {
    do {
      return try Gemm.product(rows.inputs, transposed: false, up, transposed: true, pool: pool)
        .scaled(by: rows.gates)
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch { preconditionFailure("algebra throws LinearAlgebraError, not \(error)") }
  }

  /// The best `down` for an `up`, (Tᵀ·H + μ·D)·(HᵀH + μ)⁻¹.
  private static func solvedDown(
    _ up: Matrix<Float>, _ down: Matrix<Float>, _ rows: [Rows], _ pool: WorkerPool
  ) throws -> Matrix<Float> {
    let count = up.rows
    var gram = Matrix<Double>(rows: count, columns: count, repeating: 0)
    var across = Matrix<Double>(rows: down.rows, columns: count, repeating: 0)
    for part in rows {
      let hidden = try hidden(part, up: up, pool: pool)
      gram.add(try Gemm.product(hidden, transposed: true, hidden, pool: pool))
      across.add(try Gemm.product(part.targets, transposed: true, hidden, pool: pool))
    }
    let mean = (0..<count).reduce(0.0) { $0 + gram[$1, $1] / Double(count) }
    guard mean > 0, mean.isFinite else { return down }
    for index in 0..<count { gram[index, index] += downDamping * mean }
    for (index, value) in down.values.enumerated() {
      across.values[index] += downDamping * mean * Double(value)
    }
    let factor = try Cholesky.factor(gram).factor
    return try Cholesky.solve(lower: factor, across.transposed).transposed
      .converted(to: Float.self)
  }
}

/// Least squares in `up`: Σ ‖T − (S ⊙ X·Uᵀ)·Dᵀ‖² + λ·‖U − U₀‖².
private struct UpProblem {
  let up: Matrix<Float>
  let down: Matrix<Float>
  let rows: [GatedRefit.Rows]
  let pool: WorkerPool
  /// The diagonal of the operator, gates and inputs taken as independent; λ counted in.
  let diagonal: [Double]
  let damping: Double

  init(
    _ up: Matrix<Float>, _ down: Matrix<Float>, _ rows: [GatedRefit.Rows], _ pool: WorkerPool
  ) {
    self.up = up
    self.down = down
    self.rows = rows
    self.pool = pool
    var gates = [Double](repeating: 0, count: up.rows)
    var inputs = [Double](repeating: 0, count: up.columns)
    var count = 0
    for part in rows {
      part.gates.addSquares(to: &gates)
      part.inputs.addSquares(to: &inputs)
      count += part.inputs.rows
    }
    var weights = [Double](repeating: 0, count: up.rows)
    down.addSquares(to: &weights)
    var diagonal: [Double] = []
    diagonal.reserveCapacity(up.values.count)
    for (gate, weight) in zip(gates, weights) {
      for input in inputs { diagonal.append(gate * weight * input / Double(count)) }
    }
    let mean = diagonal.reduce(0, +) / Double(diagonal.count)
    damping = GatedRefit.upDamping * mean
    self.diagonal = diagonal.map { $0 + GatedRefit.upDamping * mean }
  }

  /// `up` some steps nearer to the best; nil where there is nothing to do.
  func solved() throws -> Matrix<Float>? {
    guard damping > 0, damping.isFinite else { return nil }
    var residual = try gradient()
    var change = [Double](repeating: 0, count: residual.count)
    var direction = zip(residual, diagonal).map { $0 / $1 }
    var slope = dot(residual, direction)
    for _ in 0..<GatedRefit.steps where slope > 0 && slope.isFinite {
      let image = try applied(direction)
      let curvature = dot(direction, image)
      guard curvature > 0 else { break }
      let length = slope / curvature
      for index in change.indices {
        change[index] += length * direction[index]
        residual[index] -= length * image[index]
      }
      var next = 0.0
      for index in residual.indices { next += residual[index] * residual[index] / diagonal[index] }
      let share = next / slope
      for index in direction.indices {
        direction[index] = residual[index] / diagonal[index] + share * direction[index]
      }
      slope = next
    }
    return Matrix(
      rows: up.rows, columns: up.columns,
      values: zip(up.values, change).map { Float(Double($0) + $1) })
  }

  private func dot(_ left: [Double], _ right: [Double]) -> Double {
    var sum = 0.0
    for index in left.indices { sum += left[index] * right[index] }
    return sum
  }

  /// ((T − H·Dᵀ)·D ⊙ S)ᵀ·X: the way down from U₀.
  private func gradient() throws -> [Double] {
    var sum = Matrix<Double>(rows: up.rows, columns: up.columns, repeating: 0)
    for part in rows {
      let hidden = try GatedRefit.hidden(part, up: up, pool: pool)
      var missing = try Gemm.product(hidden, transposed: false, down, transposed: true, pool: pool)
      for index in missing.values.indices {
        missing.values[index] = part.targets.values[index] - missing.values[index]
      }
      sum.add(try back(missing, part))
    }
    return sum.values
  }

  /// The operator on a direction, K × d.
  private func applied(_ direction: [Double]) throws -> [Double] {
    let values = Matrix(
      rows: up.rows, columns: up.columns, values: direction.map { Float($0) })
    var sum = Matrix<Double>(rows: up.rows, columns: up.columns, repeating: 0)
    for part in rows {
      let hidden = try GatedRefit.hidden(part, up: values, pool: pool)
      sum.add(
        try back(Gemm.product(hidden, transposed: false, down, transposed: true, pool: pool), part))
    }
    for index in direction.indices { sum.values[index] += damping * direction[index] }
    return sum.values
  }

  private func back(_ outputs: Matrix<Float>, _ part: GatedRefit.Rows) throws -> Matrix<Float> {
    let signals = try Gemm.product(outputs, down, pool: pool).scaled(by: part.gates)
    return try Gemm.product(signals, transposed: true, part.inputs, pool: pool)
  }
}

extension Matrix where Element == Float {
  /// Entry by entry times another's.
  fileprivate func scaled(by other: Self) -> Self {
    var result = self
    result.values.withUnsafeMutableBufferPointer { values in
      other.values.withUnsafeBufferPointer { factors in
        for index in values.indices { values[index] *= factors[index] }
      }
    }
    return result
  }

  /// Adds every column's Σ x².
  fileprivate func addSquares(to sums: inout [Double]) {
    for row in 0..<rows {
      for column in 0..<columns {
        let value = Double(values[row * columns + column])
        sums[column] += value * value
      }
    }
  }
}

extension Matrix where Element == Double {
  fileprivate mutating func add(_ other: Matrix<Float>) {
    for index in values.indices { values[index] += Double(other.values[index]) }
  }
}
