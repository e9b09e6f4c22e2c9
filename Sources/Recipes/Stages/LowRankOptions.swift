/// The options of `low_rank`: a path s·B·A beside the base.
public struct LowRankOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The leading singular triplets.
    case svd
  }

  /// What the factors approximate.
  public enum Subject: String, Sendable, Hashable, CaseIterable {
    /// The weight: the factors take a part of it and the base keeps the rest.
    case weight
    /// What the stages before this one lost.
    case error
  }

  public var method: Method
  public var of: Subject
  public var rank: Int
  public var factors: FloatFormat
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .svd, of subject: Subject = .error, rank: Int = 16,
    factors: FloatFormat = .f16, position: SourcePosition = .none
  ) {
    self.method = method
    of = subject
    self.rank = rank
    self.factors = factors
    self.position = position
  }
}

extension LowRankOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "low_rank"
  static let summary = "Adds a path of two thin factors beside the base."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      "How the factors are found: `svd` takes the leading singular triplets."),
    .required(
      "of", \.of, .choice(),
      """
      `weight` decomposes: the factors take a part of the weight, the base keeps the rest for the \
      stages that follow. `error` repairs: the factors stand for what the stages before lost.
      """),
    .required(
      "rank", \.rank, .integer(1...65536),
      "Columns of B and rows of A; at most the smaller side of the weight."),
    .optional("factors", \.factors, .choice(), "The type that the factors are stored in."),
  ]
}
