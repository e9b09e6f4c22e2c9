/// How a run of the model keeps keys and values of tokens that were seen.
public struct KeyValueOptions: Sendable, Hashable {
  /// How far a key's scale reaches.
  public enum Keys: String, Sendable, Hashable, CaseIterable {
    /// One channel over a group of tokens.
    case channel
    /// A run of channels within a token.
    case token
  }

  /// Formats of numbers under stored scales.
  public enum Stored: String, Sendable, Hashable, CaseIterable {
    case int8
    case fp8E4M3 = "fp8_e4m3"
  }

  public var bits: Int
  /// The numbers that keys and values become under scales found beforehand; nil: codes under scales
  /// found while running.
  public var stored: Stored?
  /// nil: as many as a key.
  public var valueBits: Int?
  public var keys: Keys
  public var group: Int
  public var residual: Int

  public init(
    bits: Int = 4, valueBits: Int? = nil, keys: Keys = .channel, group: Int = 32,
    residual: Int = 32, stored: Stored? = nil
  ) {
    self.bits = bits
    self.stored = stored
    self.valueBits = valueBits
    self.keys = keys
    self.group = group
    self.residual = residual
  }
}

extension KeyValueOptions: DeclaredBlock {
  static var defaults: Self { Self() }

  static let options: [OptionDeclaration<Self>] = [
    .required("bits", \.bits, .integer(2...8), "Bits of a key, and of a value."),
    .optional("value_bits", \.valueBits, .integer(2...8), "Bits of a value, when they differ."),
    .optional(
      "keys", \.keys, .choice(),
      """
      How far a key's scale reaches: `channel` over a group of tokens, so that outlier channels \
      keep to themselves, or `token` over a run of channels, as for values.
      """),
    .optional(
      "group", \.group, .integer(1...65536),
      "Tokens that are rounded together; channels of a run, where it divides a head's dimension."),
    .optional(
      "residual", \.residual, .integer(1...1_048_576),
      "The newest tokens, which stay exact."),
    .optional(
      "stored", \.stored, .choice(),
      """
      With `bits: 8` and none of the others: every token is rounded, the newest too, to `int8` or \
      `fp8_e4m3` under one scale a layer for keys and one for values, from the calibration text: \
      what compressed-tensors calls `kv_cache_scheme`.
      """),
  ]
}

extension OptionCodec where Value == KeyValueOptions {
  static let keyValue = OptionCodec(
    schema: KeyValueOptions.schema(complete: true), expected: "a mapping",
    read: { value, _, sink in
      var options = KeyValueOptions.defaults
      let given = options.read(value, owner: "'kv_cache'", complete: true, &sink) ?? []
      guard options.stored != nil else { return options }
      let others = given.intersection(["value_bits", "keys", "group", "residual"]).sorted()
      if let other = others.first {
        sink.error(
          at: value.position,
          "'\(other)' in 'kv_cache' is for scales found while running; leave it or 'stored' out")
      }
      if options.bits != 8 {
        sink.error(at: value.position, "'stored' in 'kv_cache' needs 'bits: 8'")
      }
      return options
    },
    encode: { .object($0.encoded()) })
}
