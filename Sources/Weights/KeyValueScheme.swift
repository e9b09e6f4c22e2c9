/// How keys and values of tokens that were seen are kept: docs/activations.md.
///
/// Past-only (WKVQuant): the newest tokens are exact, older ones are rounded once, in groups. With
/// n tokens seen, those before `rounded(of: n)` are rounded; the rest, at least `residual` tokens
/// with the newest among them, are exact. A pure function of positions, so that scoring a window
/// at once and running token by token see the same numbers.
public struct KeyValueScheme: Sendable, Hashable {
  /// Bits of a key and of a value.
  public var keyBits: Int
  public var valueBits: Int
  /// How far a key's scale reaches: values share one within a token always.
  public var keys: KeyGranularity
  /// Tokens that are rounded together, and share a scale where scales are per channel; runs of so
  /// many channels within a head share a scale per token, where they divide the head's dimension.
  public var group: Int
  /// The newest tokens, which stay exact; the token's own is always among them.
  public var residual: Int

  /// How far a key's scale reaches.
  public enum KeyGranularity: String, Sendable, Hashable, CaseIterable {
    /// A channel over the tokens of a group (KIVI): outlier channels keep to themselves.
    case channel
    /// A run of channels within one token.
    case token
  }

  public init(
    keyBits: Int, valueBits: Int? = nil, keys: KeyGranularity = .channel, group: Int = 32,
    residual: Int = 32
  ) {
    self.keyBits = keyBits
    self.valueBits = valueBits ?? keyBits
    self.keys = keys
    self.group = group
    self.residual = residual
  }

  /// How many of the first tokens are rounded once so many were seen.
  public func rounded(of seen: Int) -> Int { max(0, seen - residual) / group * group }

  /// Channels that share a scale within a token.
  public func run(headDimension: Int) -> Int {
    headDimension % group == 0 ? group : headDimension
  }

  /// Bits per number as they would be stored, two f16 numbers a scale and minimum, the exact tokens
  /// not counted.
  public func bitsPerNumber(headDimension: Int) -> Double {
    let run = Double(run(headDimension: headDimension))
    let keyRun = keys == .channel ? Double(group) : run
    return (Double(keyBits) + 32 / keyRun + Double(valueBits) + 32 / run) / 2
  }

  /// - Throws: `WeightsError.keyValue` when a number is out of range.
  public func validate() throws(WeightsError) {
    for bits in [keyBits, valueBits] where !(2...8).contains(bits) {
      throw .keyValue("\(bits) bits: keys and values take 2 to 8")
    }
    guard (1...65536).contains(group) else {
      throw .keyValue("groups of \(group) tokens: 1 to 65536")
    }
    guard (1...1_048_576).contains(residual) else {
      throw .keyValue(
        "\(residual) exact tokens: 1 to 1048576, since a token's own key and value are exact")
    }
  }

  /// What the scheme is, in a few words.
  public var name: String {
    let bits =
      keyBits == valueBits ? "\(keyBits) bits" : "\(keyBits)-bit keys, \(valueBits)-bit values"
    return bits + ", keys per \(keys.rawValue), groups of \(group), \(residual) exact"
  }

  /// The scheme that a short text names: `int4`, or `int2/token`, `int4/v2/g64/r128`.
  ///
  /// - Throws: `WeightsError.keyValue`.
  public init(named text: String) throws(WeightsError) {
    let problem = WeightsError.keyValue(
      "'\(text)': expected int2 to int8, then after a '/' each what differs from the default: "
        + "v2 (bits of values), token (keys per token), g64 (group), r128 (exact tokens)")
    func number(_ word: String, after prefix: String) throws(WeightsError) -> Int {
      guard word.hasPrefix(prefix), let value = Int(word.dropFirst(prefix.count)), value > 0 else {
        throw problem
      }
      return value
    }
    var words = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    self.init(keyBits: try number(words.removeFirst(), after: "int"))
    for word in words {
      switch word.first {
      case "v": valueBits = try number(word, after: "v")
      case "g": group = try number(word, after: "g")
      case "r": residual = try number(word, after: "r")
      default:
        guard let granularity = KeyGranularity(rawValue: word) else { throw problem }
        keys = granularity
      }
    }
    try validate()
  }
}
