import LinearAlgebra
import Tensors

/// A quantizer as the alternating methods use it: codes, and what they decode to.
///
/// Any method of the other rooms fits: it enters as a closure, so that this room needs none.
public typealias Quantizer<S: BLASScalar, Code> = (Matrix<S>) throws -> (
  code: Code, values: Matrix<S>
)

/// What an alternation of quantizer and decomposition arrived at: W ≈ Q + s·B·A.
public struct AlternatingResult<S: BLASScalar, Code> {
  public var code: Code
  public var factors: ThinFactors<S>
  /// ‖W − Q − s·B·A‖_F of every iteration.
  public var history: [Double]
  /// The iteration that was kept, from 0.
  public var best: Int
}

/// QPiSSA and LoftQ: quantizer and decomposition in turns.
///
/// Neither falls with every iteration: the decomposition is optimal for its codes, but quantizing
/// again can raise the error. The best iterate is returned, with the history (low-rank.md §3, §6).
public enum AlternatingQuantization {
  /// The quantizer comes last: Q is the quantized W − s·B·A of the very factors returned.
  ///
  /// One iteration is PiSSA followed by quantizing the residual.
  ///
  /// - Throws: `LowRankError.optionOutOfRange` (no iterations), as `Projection.factors`, and what
  ///   the quantizer throws.
  public static func qpissa<S: BLASScalar, Code>(
    _ matrix: Matrix<S>, rank: Int, iterations: Int = 5, scale: Double = 1,
    sketch: Projection.SketchOptions? = nil, pool: WorkerPool = .serial,
    quantizer: Quantizer<S, Code>
  ) throws -> AlternatingResult<S, Code> {
    try check(iterations)
    var target = matrix
    var best: AlternatingResult<S, Code>?
    var history: [Double] = []
    for iteration in 0..<iterations {
      let factors =
        try sketch.map {
          try PrincipalComponents.fast(target, rank: rank, scale: scale, options: $0, pool: pool)
        } ?? PrincipalComponents.exact(target, rank: rank, scale: scale, pool: pool)
      let residual = try factors.residual(of: matrix, pool: pool)
      let quantized = try quantizer(residual)
      history.append(residual.subtracting(quantized.values).squaredNorm.squareRoot())
      if history[iteration] <= history.min() ?? .infinity {
        best = AlternatingResult(
          code: quantized.code, factors: factors, history: [], best: iteration)
      }
      target = matrix.subtracting(quantized.values)
    }
    return try finished(best, history)
  }

  /// The decomposition comes last: for the Q returned the factors are optimal.
  ///
  /// One iteration is LoRC on the quantization error. Unlike PEFT's, the factors are divided by s,
  /// so that s·B·A is what was found whatever alpha is.
  ///
  /// - Throws: as `qpissa`.
  public static func loftq<S: BLASScalar, Code>(
    _ matrix: Matrix<S>, rank: Int, iterations: Int = 5, scale: Double = 1,
    pool: WorkerPool = .serial, quantizer: Quantizer<S, Code>
  ) throws -> AlternatingResult<S, Code> {
    try check(iterations)
    var residual = matrix
    var best: AlternatingResult<S, Code>?
    var history: [Double] = []
    for iteration in 0..<iterations {
      let quantized = try quantizer(residual)
      let error = matrix.subtracting(quantized.values)
      let factors = try Projection.factors(
        of: error, rank: rank, scale: scale, method: "loftq", pool: pool)
      history.append(try factors.residual(of: error, pool: pool).squaredNorm.squareRoot())
      if history[iteration] <= history.min() ?? .infinity {
        best = AlternatingResult(
          code: quantized.code, factors: factors, history: [], best: iteration)
      }
      residual = try factors.residual(of: matrix, pool: pool)
    }
    return try finished(best, history)
  }

  private static func check(_ iterations: Int) throws(LowRankError) {
    guard (1...1000).contains(iterations) else {
      throw .optionOutOfRange(name: "iterations", value: "\(iterations)", allowed: "from 1 to 1000")
    }
  }

  private static func finished<S: BLASScalar, Code>(
    _ best: AlternatingResult<S, Code>?, _ history: [Double]
  ) throws(LowRankError) -> AlternatingResult<S, Code> {
    guard var best else {
      throw .optionOutOfRange(name: "iterations", value: "0", allowed: "from 1 to 1000")
    }
    best.history = history
    return best
  }
}
