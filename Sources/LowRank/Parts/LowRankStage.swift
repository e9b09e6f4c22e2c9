import LinearAlgebra
import Tensors
import Weights

/// Runs one low-rank choice on one weight.
public enum LowRankStage {
  /// A quantizer of dense matrices: what the stage after an alternating method does.
  public typealias WeightQuantizer = (Matrix<Float>) throws -> CompressedWeight

  /// The weight with its factors, and what is worth saying about it.
  ///
  /// `original` is the dense weight for the original inputs. A repair of a weight that lost nothing
  /// adds nothing. Alternating methods leave a quantized base; the stage after them is done then.
  ///
  /// - Throws: `LowRankError`, `WeightsError`, `LinearAlgebraError`, and what the quantizer throws.
  public static func run(
    _ choice: LowRankChoice, on weight: CompressedWeight, original: Matrix<Float>,
    statistics: LowRankStatistics = LowRankStatistics(), quantizer: WeightQuantizer? = nil,
    pool: WorkerPool = .serial
  ) throws -> (weight: CompressedWeight, notes: [String]) {
    let name = choice.method.rawValue
    var notes: [String] = []
    let target =
      choice.role == .repair
      ? try LowRankParts.error(of: weight, original: original, operation: name)
      : try LowRankParts.target(of: weight, original: original, operation: name)
    if case .fixed(let rank) = choice.rank {
      guard rank >= 1, rank <= min(target.rows, target.columns) else {
        throw LowRankError.rankOutOfRange(rank: rank, rows: target.rows, columns: target.columns)
      }
    }
    if choice.role == .repair, !target.values.contains(where: { $0 != 0 }) { return (weight, []) }
    if choice.role == .decompose, choice.method != .svd, weight.base?.isQuantized == true {
      throw LowRankError.baseQuantized(method: name)
    }
    if choice.method.alternates {
      return try alternate(choice, weight, target, quantizer, pool)
    }
    let weighting = try weighting(for: choice, statistics, columns: target.columns, &notes)
    if weighting.isZero {
      notes.append("\(name): no input of this layer was ever other than zero; nothing was added")
      if choice.role == .repair { return (weight, notes) }
      throw LowRankError.weightingZero(method: name)
    }
    let factors = try factors(choice, target, weighting, statistics, &notes, pool)
    let path = try factors.path(
      as: choice.factors, target: choice.method == .milora ? nil : fitTarget(choice, target),
      pool: pool)
    switch choice.role {
    case .repair: return (LowRankParts.adding(path, to: weight), notes)
    case .decompose: return (LowRankParts.splitting(path, off: weight), notes)
    case .replace: return (LowRankParts.replacingBase(of: weight, by: path), notes)
    }
  }

  /// What A may be fitted to: not where the factors are the trailing part of the target.
  private static func fitTarget(_ choice: LowRankChoice, _ target: Matrix<Float>) -> Matrix<Float>?
  {
    choice.method == .cordaKnowledge ? nil : target
  }

  static func weighting(
    for choice: LowRankChoice, _ statistics: LowRankStatistics, columns: Int,
    _ notes: inout [String]
  ) throws -> InputWeighting {
    let name = choice.method.rawValue
    func missing() -> LowRankError {
      .statisticsMismatch(method: name, rows: 0, columns: columns, found: 0)
    }
    if choice.method.needsGram, statistics.rows > 0, statistics.rows < columns {
      notes.append(
        "\(name): \(statistics.rows) rows of calibration for \(columns) inputs; directions that none "
          + "of them reached are guessed: use more text")
    }
    switch choice.method {
    case .eora, .qera, .svdLLM, .cordaInstruction, .cordaKnowledge:
      guard let gram = statistics.gram else { throw missing() }
      return .gram(gram)
    case .l2qer:
      guard let means = statistics.absoluteMeans else { throw missing() }
      return .diagonal(ErrorCompensation.scales(absoluteMeans: means))
    case .qeraApprox:
      guard let gram = statistics.gram else { throw missing() }
      return .diagonal((0..<gram.rows).map { max(0, gram[$0, $0]).squareRoot() })
    case .fwsvd:
      if let fisher = statistics.fisher { return .diagonal(fisher.map { max(0, $0).squareRoot() }) }
      guard let gram = statistics.gram else { throw missing() }
      notes.append("fwsvd: Fisher rows estimated from squared activations, not from gradients")
      return .diagonal((0..<gram.rows).map { max(0, gram[$0, $0]).squareRoot() })
    default: return .none
    }
  }

  private static func factors(
    _ choice: LowRankChoice, _ target: Matrix<Float>, _ weighting: InputWeighting,
    _ statistics: LowRankStatistics, _ notes: inout [String], _ pool: WorkerPool
  ) throws -> ThinFactors<Float> {
    let name = choice.method.rawValue
    let rank = try rank(choice, target, weighting, pool)
    switch choice.method {
    case .pissaFast:
      return try PrincipalComponents.fast(
        target, rank: rank, options: sketch(choice), pool: pool)
    case .milora:
      return noting(try PrincipalComponents.minor(target, rank: rank, pool: pool), &notes)
    case .cordaInstruction, .cordaKnowledge:
      guard case .gram(let covariance) = weighting else {
        throw LowRankError.weightingZero(method: name)
      }
      return noting(
        try ContextOriented.factors(
          target, covariance: covariance, rank: rank,
          mode: choice.method == .cordaInstruction ? .instruction : .knowledge, pool: pool), &notes)
    case .svd, .pissa:
      return try PrincipalComponents.exact(target, rank: rank, pool: pool)
    default:
      let (factors, report) = try ErrorCompensation.factors(
        target, weighting: weighting, rank: rank,
        options: Projection.IterativeOptions(seed: choice.seed, stream: choice.stream),
        method: name, pool: pool)
      if let report, !report.converged {
        notes.append(
          "\(name): the last of \(report.iterations) iterations still gained "
            + "\(report.lastGain) of the squared error")
      }
      return factors
    }
  }

  private static func sketch(_ choice: LowRankChoice) -> Projection.SketchOptions {
    Projection.SketchOptions(
      iterations: choice.iterations, oversample: choice.oversample, seed: choice.seed,
      stream: choice.stream)
  }

  private static func noting(
    _ factors: ThinFactors<Float>, _ notes: inout [String]
  ) -> ThinFactors<Float> {
    if factors.isDead {
      notes.append("the weight has no such components: the factors are zero and would not train")
    }
    return factors
  }

  private static func rank(
    _ choice: LowRankChoice, _ target: Matrix<Float>, _ weighting: InputWeighting,
    _ pool: WorkerPool
  ) throws -> Int {
    switch choice.rank {
    case .fixed(let rank): return rank
    case .energy(let share):
      let spectrum = try SVD.exact(Projection.weighted(target, by: weighting, pool: pool))
        .singularValues.map { Double($0) }
      return Factorization.rank(spectrum: spectrum, energy: share)
    }
  }

  private static func alternate(
    _ choice: LowRankChoice, _ weight: CompressedWeight, _ target: Matrix<Float>,
    _ quantizer: WeightQuantizer?, _ pool: WorkerPool
  ) throws -> (weight: CompressedWeight, notes: [String]) {
    guard let quantizer else {
      throw LowRankError.optionOutOfRange(
        name: "method '\(choice.method.rawValue)'", value: "the last stage",
        allowed: "followed by a 'quantize' stage, whose quantizer it uses")
    }
    let rank = try rank(choice, target, .none, pool)
    // The path in its stored form comes out of the closure: what the quantizer sees is the residual
    // of exactly that.
    func quantize(_ matrix: Matrix<Float>) throws -> (code: CompressedWeight, values: Matrix<Float>)
    {
      let quantized = try quantizer(matrix)
      return (quantized, quantized.decodedBase())
    }
    let result =
      choice.method == .qpissa
      ? try AlternatingQuantization.qpissa(
        target, rank: rank, iterations: choice.iterations, pool: pool, quantizer: quantize)
      : try AlternatingQuantization.loftq(
        target, rank: rank, iterations: choice.iterations, pool: pool, quantizer: quantize)
    let path = try result.factors.path(as: choice.factors, pool: pool)
    var finished = weight
    if choice.method == .qpissa {
      finished.base = try quantizer(target.subtracting(path.decoded())).base
    } else {
      finished.base = result.code.base
    }
    finished.mask = nil
    finished.lowRank.append(path)
    let history = result.history.map { format(significant: $0) }.joined(separator: ", ")
    return (
      finished,
      [
        "\(choice.method.rawValue): turn \(result.best + 1) of \(result.history.count) kept; errors \(history)"
      ]
    )
  }

  /// Four significant digits, the same on every machine.
  private static func format(significant value: Double) -> String {
    guard value > 0, value.isFinite else { return "\(value)" }
    var (scaled, exponent) = (value, 0)
    while scaled >= 10 { (scaled, exponent) = (scaled / 10, exponent + 1) }
    while scaled < 1 { (scaled, exponent) = (scaled * 10, exponent - 1) }
    let digits = (scaled * 1000).rounded() / 1000
    return exponent == 0 ? "\(digits)" : "\(digits)e\(exponent)"
  }
}
