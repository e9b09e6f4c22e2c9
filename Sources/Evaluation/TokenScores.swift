/// What a model, and perhaps a reference, say of every scored token, window after window.
public struct TokenScores: Sendable, Hashable {
  /// Where each window's tokens start, and the end of the last.
  public internal(set) var offsets: [Int] = [0]
  /// −log q(token), natural logarithm.
  public internal(set) var negativeLogLikelihoods: [Double] = []
  /// The same of the reference; empty without one.
  public internal(set) var referenceNegativeLogLikelihoods: [Double] = []
  /// KL(reference ‖ model) in nats; empty without a reference.
  public internal(set) var divergences: [Double] = []
  /// The reference's tokens that divergences are taken over; nil for the whole vocabulary.
  ///
  /// All others are then in one bucket, and divergences are lower bounds.
  public internal(set) var savedTokens: Int?
  /// Whether both find the same token the most likely; empty without a reference.
  public internal(set) var agreements: [Bool] = []

  public init() {}

  /// Windows that were scored.
  public var windows: Int { offsets.count - 1 }
  /// Tokens that were scored.
  public var count: Int { negativeLogLikelihoods.count }
  public var hasReference: Bool { !divergences.isEmpty }

  /// Scored tokens per window.
  public var counts: [Double] {
    (0..<windows).map { Double(offsets[$0 + 1] - offsets[$0]) }
  }

  /// Sums of a quantity per window.
  public func sums(_ values: [Double]) -> [Double] {
    (0..<windows).map { values[offsets[$0]..<offsets[$0 + 1]].reduce(0, +) }
  }
}
