import Tensors

/// A low-rank stage with everything chosen for one weight.
public struct LowRankChoice: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The leading singular triplets, of the weight or of the error.
    case svd
    case pissa
    case pissaFast = "pissa_fast"
    /// PiSSA and the quantizer of the next stage in turns.
    case qpissa
    case cordaInstruction = "corda_ipa"
    case cordaKnowledge = "corda_kpa"
    case milora
    /// The quantizer of the next stage and the decomposition in turns.
    case loftq
    case eora
    case lorc
    case lqer
    case l2qer
    case qera
    case qeraApprox = "qera_approx"
    case svdLLM = "svd_llm"
    case fwsvd
  }

  /// What the factors do to the weight's other parts.
  public enum Role: String, Sendable, Hashable {
    /// The base keeps the residual.
    case decompose = "weight"
    /// They stand for what earlier stages lost.
    case repair = "error"
    /// They stand for the weight alone.
    case replace
  }

  /// How many components are kept.
  public enum Rank: Sendable, Hashable {
    case fixed(Int)
    /// This share of the squared singular values, those of the weighted matrix.
    case energy(Double)
  }

  public var method: Method
  public var role: Role
  public var rank: Rank
  /// Whether the rank is an average over all weights of the stage, to be handed out by error.
  public var isAllocated = false
  public var factors: FactorFormat
  /// Power iterations of `pissa_fast`, turns of `qpissa` and `loftq`.
  public var iterations: Int
  public var oversample: Int
  public var seed: UInt64
  /// Tells this weight's random numbers from others' of the same seed.
  public var stream: UInt32
  /// The checkpoint of `fwsvd`'s Fisher information; nil estimates it from activations.
  public var fisher: String?

  public init(
    method: Method, role: Role? = nil, rank: Rank, factors: FactorFormat = .dense(.f16),
    iterations: Int? = nil, oversample: Int = 10, seed: UInt64 = 0, stream: UInt32 = 0,
    fisher: String? = nil
  ) {
    self.method = method
    self.role = role ?? method.role
    self.rank = rank
    self.factors = factors
    self.iterations = iterations ?? (method == .pissaFast ? 4 : 5)
    self.oversample = oversample
    self.seed = seed
    self.stream = stream
    self.fisher = fisher
  }

  /// Whether the stage needs statistics of the weight's input.
  public var isCalibrated: Bool { method.isCalibrated && fisher == nil }

  /// The rank as far as shapes tell it: a half of the smaller side where the spectrum decides.
  public func expectedRank(rows: Int, columns: Int) -> Int {
    switch rank {
    case .fixed(let rank): rank
    case .energy: max(1, min(rows, columns) / 2)
    }
  }
}

extension LowRankChoice: CustomStringConvertible {
  /// What the stage makes of a weight, as a short type: "+r16 f16", "pissa r16 f16".
  public var description: String {
    let size =
      switch rank {
      case .fixed(let rank): "r\(rank)"
      case .energy(let share): "\((share * 100).rounded())% of σ²"
      }
    return switch (method, role) {
    case (.svd, .repair): "+\(size) \(factors)"
    case (_, .repair): "+\(method.rawValue) \(size) \(factors)"
    default: "\(method.rawValue) \(size) \(factors)"
    }
  }
}

extension LowRankChoice.Method {
  /// What the method does to the base; `svd` can also decompose.
  public var role: LowRankChoice.Role {
    switch self {
    case .svd, .eora, .lorc, .lqer, .l2qer, .qera, .qeraApprox: .repair
    case .pissa, .pissaFast, .qpissa, .cordaInstruction, .cordaKnowledge, .milora, .loftq:
      .decompose
    case .svdLLM, .fwsvd: .replace
    }
  }

  /// Whether the method needs XᵀX of the weight's input.
  public var needsGram: Bool {
    switch self {
    case .eora, .qera, .svdLLM, .cordaInstruction, .cordaKnowledge: true
    default: false
    }
  }

  /// Whether the method needs any statistics of the weight's input.
  public var isCalibrated: Bool {
    switch self {
    case .l2qer, .qeraApprox, .fwsvd: true
    default: needsGram
    }
  }

  /// Whether a rank's error follows from the leading singular values alone, so that ranks can be
  /// handed out by it.
  public var hasCurve: Bool {
    switch self {
    case .qpissa, .loftq, .cordaInstruction, .cordaKnowledge, .milora: false
    default: true
    }
  }

  /// Whether the method takes the next stage for its quantizer.
  public var alternates: Bool { self == .qpissa || self == .loftq }
}

/// What a weight's input looks like, as its low-rank stage needs it: already that of T(x).
public struct LowRankStatistics: Sendable {
  /// XᵀX.
  public var gram: Matrix<Double>?
  /// The mean of |x| over all rows, for each input.
  public var absoluteMeans: [Double]?
  /// Fisher information of each input, summed over outputs, from a file; nil where there is none.
  public var fisher: [Double]?
  /// Rows that were seen.
  public var rows: Int

  public init(
    gram: Matrix<Double>? = nil, absoluteMeans: [Double]? = nil, fisher: [Double]? = nil,
    rows: Int = 0
  ) {
    self.gram = gram
    self.absoluteMeans = absoluteMeans
    self.fisher = fisher
    self.rows = rows
  }
}
