import JSONText

/// The options of `prune`: some entries of the base become zero.
public struct PruneOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The smallest absolute values go.
    case magnitude
    /// The smallest |w|·‖x‖ of each output go; needs statistics.
    case wanda
    /// Inputs one by one, what each loses made good by those to come; needs statistics.
    case sparsegpt
    /// The exact greedy choice, for small layers; needs statistics.
    case obc
  }

  /// What `magnitude` counts a fraction over.
  public enum Scope: String, Sendable, Hashable, CaseIterable {
    case matrix, row
  }

  /// How a sparsity is handed out over the weights of the model.
  public enum Allocation: String, Sendable, Hashable, CaseIterable {
    /// The same for every weight.
    case uniform
    /// Small layers keep more, by the Erdős–Rényi kernel rule.
    case erk
    /// One threshold on |w| over all weights; only with `magnitude`.
    case global
    /// The least sum of measured output errors; needs statistics.
    case adaptive
  }

  /// How much goes.
  public enum Amount: Sendable, Hashable {
    /// This fraction of all entries, in (0, 1).
    case sparsity(Double)
    /// Of each `m` neighbouring inputs `n` are kept; n < m.
    case pattern(n: Int, m: Int)
  }

  public var method: Method
  public var amount: Amount
  /// nil is uniform.
  public var allocation: Allocation?
  /// Only with `magnitude`; nil is the matrix.
  public var scope: Scope?
  /// Not with `magnitude` and `wanda` unless they refit: what is added to the Gram matrix's
  /// diagonal, relative to its mean; nil is the default.
  public var damping: Double?
  /// Whether survivors are fitted again by least squares; needs statistics.
  public var refit: Bool?
  /// Only with `sparsegpt`: whether a `quantize: {method: gptq}` that follows is done in the same
  /// sweep; nil is the default.
  public var joint: Bool?
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .magnitude, amount: Amount = .sparsity(0.5),
    allocation: Allocation? = nil, scope: Scope? = nil, damping: Double? = nil,
    refit: Bool? = nil, joint: Bool? = nil,
    position: SourcePosition = .none
  ) {
    self.method = method
    self.amount = amount
    self.allocation = allocation
    self.scope = scope
    self.damping = damping
    self.refit = refit
    self.joint = joint
    self.position = position
  }

  /// The options given here that the method does not know, and whose they are.
  public var foreignOptions: [(name: String, owner: String)] {
    var result: [(name: String, owner: String)] = []
    if scope != nil, method != .magnitude { result.append(("scope", "'magnitude'")) }
    if damping != nil, method == .magnitude || method == .wanda, refit != true {
      result.append(("damping", "'sparsegpt', 'obc' or a refit"))
    }
    if allocation == .global, method != .magnitude {
      result.append(("allocation: global", "'magnitude'"))
    }
    if joint != nil, method != .sparsegpt { result.append(("joint", "'sparsegpt'")) }
    return result
  }
}

extension PruneOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "prune"
  static let summary = "Sets entries of the base to zero and stores only the rest."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      Which entries go: `magnitude` takes the smallest absolute values; `wanda` the smallest \
      products of weight and input norm in each output; `sparsegpt` goes through the inputs and \
      makes good by later ones what it drops; `obc` is the exact greedy choice, for small layers. \
      All but the first are calibrated.
      """),
    .alternative(
      "sparsity", of: "amount", .fraction, "The fraction of the entries that becomes zero.",
      get: { if case .sparsity(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .sparsity($1) }),
    .alternative(
      "pattern", of: "amount", .pattern,
      "`\"N:M\"`: of each M neighbouring inputs of an output channel N are kept.",
      get: { if case .pattern(let n, let m) = $0.amount { Kept(n: n, m: m) } else { nil } },
      set: { $0.amount = .pattern(n: $1.n, m: $1.m) }),
    .optional(
      "allocation", \.allocation, .choice(),
      """
      How a sparsity is handed out over the weights: `uniform` (the default) gives each the same, `erk` lets small \
      ones keep more, `global` has one threshold for all (only `magnitude`), `adaptive` makes the sum \
      of measured output errors small.
      """),
    .optional(
      "scope", \.scope, .choice(),
      "Only `magnitude`: whether a fraction is taken of the whole matrix (the default) or each row."
    ),
    .optional(
      "damping", \.damping, .fraction,
      "What steadies the statistics, relative to their mean; 0.01 when absent."),
    .optional(
      "refit", \.refit, .boolean,
      "Whether survivors are fitted again by least squares (calibrated); false when absent."
    ),
    .optional(
      "joint", \.joint, .boolean,
      """
      Only `sparsegpt`: whether a `quantize` stage with method `gptq` right after it is done in the \
      same sweep; true when absent.
      """),
  ]

  /// The two numbers of an N:M pattern.
  struct Kept: Sendable {
    let n: Int
    let m: Int
  }
}

extension OptionCodec where Value == PruneOptions.Kept {
  /// "N:M" with 1 ≤ N < M ≤ 256.
  static let pattern = OptionCodec(
    schema: ["type": "string", "pattern": "^[1-9][0-9]*:[1-9][0-9]*$"],
    expected: "a pattern \"N:M\" with 1 <= N < M <= 256",
    decode: { value in
      guard case .text(let text)? = value.scalar else { return nil }
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
        let n = Int(parts[0]), let m = Int(parts[1]), n >= 1, n < m, m <= 256
      else { return nil }
      return PruneOptions.Kept(n: n, m: m)
    },
    encode: { .string("\($0.n):\($0.m)") })
}
