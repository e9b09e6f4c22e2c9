import JSONText

/// The options of `low_rank`: a path s·B·A beside the base, or instead of it.
public struct LowRankOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The leading singular triplets.
    case svd
    case pissa
    case pissaFast = "pissa_fast"
    case qpissa
    case cordaInstruction = "corda_ipa"
    case cordaKnowledge = "corda_kpa"
    case milora
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

  /// What the factors approximate.
  public enum Subject: String, Sendable, Hashable, CaseIterable {
    /// The weight: the factors take a part of it and the base keeps the rest.
    case weight
    /// What the stages before this one lost.
    case error
  }

  /// How many components are kept.
  public enum Amount: Sendable, Hashable {
    case rank(Int)
    /// The share of the weight's numbers that the factors may hold.
    case ratio(Double)
    /// The share of the squared singular values.
    case energy(Double)
  }

  /// What the factors are stored as.
  public enum Factors: String, Sendable, Hashable, CaseIterable {
    case f16, bf16, f32, int8, int4, nf4
  }

  /// How ranks are handed out over the weights.
  public enum Allocation: String, Sendable, Hashable, CaseIterable {
    case uniform, adaptive
  }

  public var method: Method
  /// Only `svd` has a choice; nil is what the method is for.
  public var of: Subject?
  public var amount: Amount
  /// nil is uniform.
  public var allocation: Allocation?
  /// nil is f16, and int8 where factors repair by a method other than `svd`.
  public var factors: Factors?
  /// Turns of `qpissa` and `loftq`, power iterations of `pissa_fast`; nil is the default.
  public var iterations: Int?
  /// Only `pissa_fast`.
  public var oversample: Int?
  /// Only `fwsvd`: a checkpoint with Fisher information; nil estimates it from activations.
  public var fisher: String?
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .svd, of subject: Subject? = nil, amount: Amount = .rank(16),
    allocation: Allocation? = nil, factors: Factors? = nil, iterations: Int? = nil,
    oversample: Int? = nil,
    fisher: String? = nil, position: SourcePosition = .none
  ) {
    self.method = method
    of = subject
    self.amount = amount
    self.allocation = allocation
    self.factors = factors
    self.iterations = iterations
    self.oversample = oversample
    self.fisher = fisher
    self.position = position
  }

  /// What the factors approximate, whether it was said or not.
  public var subject: Subject { of ?? method.subject }

  /// The options given here that the method does not know, and an `of` that it cannot be.
  public var foreignOptions: [String] {
    var foreign: [String] = []
    if let of, method != .svd, of != method.subject { foreign.append("of: \(of.rawValue)") }
    let turns: [Method] = [.qpissa, .loftq, .pissaFast]
    if iterations != nil, !turns.contains(method) { foreign.append("iterations") }
    if oversample != nil, method != .pissaFast { foreign.append("oversample") }
    if fisher != nil, method != .fwsvd { foreign.append("fisher") }
    if allocation == .adaptive {
      let turned: [Method] = [.qpissa, .loftq, .cordaInstruction, .cordaKnowledge, .milora]
      if turned.contains(method) { foreign.append("allocation: adaptive") }
    }
    return foreign
  }
}

extension LowRankOptions.Method {
  /// What the method's factors approximate where the recipe does not say.
  public var subject: LowRankOptions.Subject {
    switch self {
    case .svd, .eora, .lorc, .lqer, .l2qer, .qera, .qeraApprox: .error
    default: .weight
    }
  }

  /// Methods that are defined by training, and what to use here instead.
  static let trained: [String: String] = [
    "lrec": "'eora' is the closed-form optimum that its per-layer fit chases",
    "apiq": "'eora' minimises the same output error exactly",
    "svfit": "'pissa' gives the same start, to be trained elsewhere",
    "maestro": "'svd_llm' takes a parameter ratio",
    "dsformer": "'svd_llm', or 'prune' followed by 'eora', need no training",
    "lora_ga": "'corda_ipa' needs activations and no gradients",
    "lift": "it tunes the entries that the library's 'PrincipalEntries' names",
    "s2ft": "it tunes the channels that the library's 'SelectedChannels' puts first",
    "masa": "the library's 'SharedAtoms' is its form without training; no artefact holds it yet",
  ]
}

extension LowRankOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "low_rank"
  static let summary = "Adds a path of two thin factors beside the base, or puts it in its place."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .lowRankMethod,
      """
      How the factors are found. Of the weight: `pissa` (exact), `pissa_fast` (by a random sketch), \
      `qpissa` and `loftq` (in turns with the quantizer of the next stage), `corda_ipa`, `corda_kpa`, \
      `milora`. Of the error: `eora`, `qera` (the output's error, the same optimum), `qera_approx`, \
      `l2qer`, `lorc`, `lqer` (plain). Instead of the weight: `svd_llm`, `fwsvd`. `svd` takes the \
      leading singular triplets of either. `corda_*`, `eora`, `qera*`, `l2qer`, `svd_llm` and `fwsvd` \
      need statistics.
      """),
    .optional(
      "of", \.of, .choice(),
      """
      Only `svd`: `weight` decomposes: the factors take a part of the weight, the base keeps the \
      rest for the stages that follow. `error` repairs: the factors stand for what the stages \
      before lost (when absent).
      """),
    .alternative(
      "rank", of: "amount", .integer(1...65536),
      "Columns of B and rows of A; at most the smaller side of the weight.",
      get: { if case .rank(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .rank($1) }),
    .alternative(
      "ratio", of: "amount", .fraction,
      "The share of the weight's numbers that both factors may hold together.",
      get: { if case .ratio(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .ratio($1) }),
    .alternative(
      "energy", of: "amount", .fraction,
      "The smallest rank that keeps this share of the squared singular values.",
      get: { if case .energy(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .energy($1) }),
    .optional(
      "allocation", \.allocation, .choice(),
      """
      How `rank` or `ratio` is handed out: `uniform` (the default) gives it to every weight, `adaptive` \
      spends as many numbers in all where they lower the sum of relative errors most, from the \
      singular values of every weight; a repair may get none. Not with `energy`, which chooses by itself.
      """),
    .optional(
      "factors", \.factors, .choice(),
      "The type that the factors are stored in; when absent `int8` for repairs, else (and for `svd`) `f16`."
    ),
    .optional(
      "iterations", \.iterations, .integer(0...64),
      "Turns of `qpissa` and `loftq` (5 when absent), power iterations of `pissa_fast` (4)."),
    .optional(
      "oversample", \.oversample, .integer(0...4096),
      "Only `pissa_fast`: how much wider the sketch is than the rank; 10 when absent."),
    .optional(
      "fisher", \.fisher, .line,
      """
      Only `fwsvd`: a checkpoint with Fisher information under the weights' names, out × in or one \
      number an input; when absent it is estimated from squared activations.
      """),
  ]
}

extension OptionCodec where Value == LowRankOptions.Method {
  /// A method's name; one that needs training is refused with what to use instead.
  static let lowRankMethod: OptionCodec = {
    let plain: OptionCodec = .choice()
    return OptionCodec(
      schema: plain.schema, expected: plain.expected,
      read: { value, owner, sink in
        if case .text(let word)? = value.scalar,
          let instead = LowRankOptions.Method.trained[word.lowercased()]
        {
          sink.error(
            at: value.position,
            "'\(word)' trains its factors by back-propagation, which this program does not do; \(instead)"
          )
          return .eora
        }
        return plain.read(value, owner, &sink)
      },
      encode: plain.encode, words: plain.words, isChoice: true)
  }()
}
