import Tensors

/// A window of tokens: what a model sees at once, and from where on it is scored.
public struct TokenWindow: Sendable, Hashable {
  /// The tokens, a beginning token included where one was asked for.
  public var tokens: [Int32]
  /// The first position whose token is scored; at least 1, as nothing comes before position 0.
  public var firstScored: Int

  public init(tokens: [Int32], firstScored: Int = 1) {
    self.tokens = tokens
    self.firstScored = firstScored
  }

  /// How many tokens are scored.
  public var scoredCount: Int { max(tokens.count - firstScored, 0) }
}

/// Windows over a stream of tokens.
///
/// 1. `consecutive`: window k holds tokens k·stride ..< k·stride + n of the stream, where n is
///    `length`, less one for a beginning token where one is given. Windows that the stream does
///    not fill are left out.
/// 2. Without a beginning token, the first token of a window is context only. With one, all n
///    stream tokens are scored.
/// 3. With a stride below n, windows overlap, and each after the first scores its last `stride`
///    tokens only: no token is scored twice.
/// 4. `random`: window i starts at ⌊u_i · (count − length + 1) / 2⁶⁴⌋, u_i being words 0 (high)
///    and 1 of Philox block i under the purpose `dataSampling`, keyed by the seed. Windows are
///    drawn with replacement; window i depends on no other.
public enum Windows {
  /// Consecutive windows: the default protocol has no beginning token and no overlap.
  ///
  /// - Parameters:
  ///   - length: Tokens in a window, a beginning token counted.
  ///   - count: How many windows at most; nil takes all.
  ///   - stride: From one window's start to the next; nil leaves no overlap.
  ///   - beginning: A token to put before every window.
  /// - Throws: `TextError.badWindow` for settings that make no sense, `TextError.tooFewTokens`
  ///   when the stream fills fewer windows than `count`, or none.
  public static func consecutive(
    _ stream: TokenStream, length: Int, count: Int? = nil, stride: Int? = nil,
    beginning: Int32? = nil
  ) throws(TextError) -> [TokenWindow] {
    try check("length", length, 2...)
    let taken = beginning == nil ? length : length - 1
    let step = stride ?? taken
    try check("stride", step, 1...)
    guard step <= taken else {
      throw .badWindow(name: "stride", value: step, allowed: "at most \(taken), its length")
    }
    if let count { try check("count", count, 1...) }
    let available = stream.count < taken ? 0 : (stream.count - taken) / step + 1
    let wanted = count ?? max(available, 1)
    guard wanted <= available else {
      let (needed, overflow) = (wanted - 1).multipliedReportingOverflow(by: step)
      throw .tooFewTokens(
        source: stream.source, needed: overflow ? Int.max : needed + taken, found: stream.count)
    }
    return (0..<wanted).map { index in
      let start = index * step
      let tokens = stream.ids[start..<start + taken]
      let fresh = index == 0 ? taken : step
      let prefix = beginning.map { [$0] } ?? []
      return TokenWindow(
        tokens: prefix + tokens, firstScored: max(prefix.count + taken - fresh, 1))
    }
  }

  /// Windows at random places, for calibration.
  ///
  /// - Throws: `TextError.badWindow`, or `TextError.tooFewTokens` when the stream is shorter than
  ///   one window.
  public static func random(
    _ stream: TokenStream, sequences: Int, length: Int, seed: UInt64
  ) throws(TextError) -> [TokenWindow] {
    try check("sequences", sequences, 1...)
    try check("length", length, 1...)
    guard stream.count >= length else {
      throw .tooFewTokens(source: stream.source, needed: length, found: stream.count)
    }
    let places = UInt64(stream.count - length + 1)
    let generator = Philox(seed: seed)
    return (0..<sequences).map { index in
      let start = Int(drawn(generator, index, below: places))
      return TokenWindow(tokens: Array(stream.ids[start..<start + length]), firstScored: 1)
    }
  }

  /// A number below a bound by multiply and shift, from block `index` of the data-sampling stream.
  static func drawn(
    _ generator: Philox, _ index: Int, below bound: UInt64, query: UInt32 = 0
  ) -> UInt64 {
    let words = generator.block(
      elementBlock: UInt32(truncatingIfNeeded: index), purpose: .dataSampling, query: query)
    return (UInt64(words[0]) << 32 | UInt64(words[1])).multipliedFullWidth(by: bound).high
  }

  private static func check(
    _ name: String, _ value: Int, _ range: PartialRangeFrom<Int>
  ) throws(TextError) {
    guard range.contains(value) else {
      throw .badWindow(name: name, value: value, allowed: "at least \(range.lowerBound)")
    }
  }
}
