import JSONText

/// The options of `prune`: some entries of the base become zero.
public struct PruneOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The smallest absolute values go.
    case magnitude
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
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .magnitude, amount: Amount = .sparsity(0.5), position: SourcePosition = .none
  ) {
    self.method = method
    self.amount = amount
    self.position = position
  }
}

extension PruneOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "prune"
  static let summary = "Sets entries of the base to zero and stores only the rest."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      "Which entries go: `magnitude` takes the smallest absolute values."),
    .alternative(
      "sparsity", of: "amount", .fraction, "The fraction of the entries that becomes zero.",
      get: { if case .sparsity(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .sparsity($1) }),
    .alternative(
      "pattern", of: "amount", .pattern,
      "`\"N:M\"`: of each M neighbouring inputs of an output channel N are kept.",
      get: { if case .pattern(let n, let m) = $0.amount { Kept(n: n, m: m) } else { nil } },
      set: { $0.amount = .pattern(n: $1.n, m: $1.m) }),
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
