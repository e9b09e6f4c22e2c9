import JSONText

/// The options of `quantize`: the base becomes codes on a grid.
public struct QuantizeOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// Round to nearest.
    case rtn
    /// Inputs rounded one by one, each one's loss made good by those to come; needs statistics.
    case gptq
    /// Half-quadratic splitting, without data.
    case hqq
  }

  /// The order in which `gptq` rounds a row's inputs.
  public enum Order: String, Sendable, Hashable, CaseIterable {
    /// As they lie.
    case none
    /// The loudest first, on grids fitted before.
    case activation
    /// Groups by their loudest input, the loudest first within each.
    case groups
  }

  /// How `gptq` ends.
  public enum Rounding: String, Sendable, Hashable, CaseIterable {
    /// With the sweep's codes.
    case sweep
    /// With codes moved to where the layer's error is less.
    case learned
  }

  /// How a group's range is chosen.
  public enum Clip: String, Sendable, Hashable, CaseIterable {
    /// The range that minimises the squared error.
    case mse
    /// The range that minimises the group's part of the layer's output error; needs statistics.
    case output
    /// The range that holds every value.
    case none
  }

  /// How far one scale reaches.
  public enum Group: Sendable, Hashable {
    case tensor
    /// One scale per output channel.
    case channel
    /// One scale per run of this many inputs.
    case inputs(Int)
  }

  public var method: Method
  /// Of an integer grid; has no meaning beside a format.
  public var bits: Int
  /// Another number format than integers; nil means `bits`.
  public var format: Format?
  public var group: Group
  public var symmetric: Bool
  public var clip: Clip
  public var scales: Scales
  /// Only with a format: how a scale is taken without a search; nil is the format's own way.
  public var rule: Rule?
  /// Only with a format; nil is `stream`.
  public var packing: Packing?
  /// Only with the power family; nil is found for each weight.
  public var exponent: Double?
  /// Only with `gptq`: what is added to the Gram matrix's diagonal, relative to its mean; nil is
  /// the default.
  public var damping: Double?
  /// Only with `gptq`; nil is the default.
  public var order: Order?
  /// Whether scales are fitted to the codes at the end, which needs statistics; nil is the default:
  /// with `gptq` they are, with `rtn` not.
  public var refit: Bool?
  /// Only with `gptq`; nil is the default.
  public var rounding: Rounding?
  /// Only with `gptq`; nil is the default, true.
  public var bounded: Bool?
  /// Only with `gptq`: the fraction of the inputs kept in f16; nil is none.
  public var weakColumns: Double?
  /// Only with `gptq` and `bits`: the fraction of the groups with one bit more; nil is none.
  public var salientGroups: Double?
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .rtn, bits: Int = 4, format: Format? = nil, group: Group = .inputs(128),
    symmetric: Bool = true, clip: Clip = .mse, scales: Scales = .f16, rule: Rule? = nil,
    packing: Packing? = nil, exponent: Double? = nil, damping: Double? = nil, order: Order? = nil,
    refit: Bool? = nil, rounding: Rounding? = nil, bounded: Bool? = nil,
    weakColumns: Double? = nil, salientGroups: Double? = nil, position: SourcePosition = .none
  ) {
    self.method = method
    self.bits = bits
    self.format = format
    self.group = group
    self.symmetric = symmetric
    self.clip = clip
    self.scales = scales
    self.rule = rule
    self.packing = packing
    self.exponent = exponent
    self.damping = damping
    self.order = order
    self.refit = refit
    self.rounding = rounding
    self.bounded = bounded
    self.weakColumns = weakColumns
    self.salientGroups = salientGroups
    self.position = position
  }

  /// The options given here that the method does not know.
  public var foreignOptions: [String] {
    guard method != .gptq else { return [] }
    return [
      damping.map { _ in "damping" }, order.map { _ in "order" },
      rounding.map { _ in "rounding" }, bounded.map { _ in "bounded" },
      weakColumns.map { _ in "weak_columns" },
      salientGroups.map { _ in "salient_groups" },
    ].compactMap { $0 }
  }
}

extension QuantizeOptions: StageOptions {
  static var defaults: Self { Self() }

  /// A format brings its own group and scales where none were given.
  mutating func settle(given: Set<String>) {
    if given.contains("format"), let format {
      if !given.contains("group") { group = format.group }
      if !given.contains("scales") { scales = format.scales }
    }
    if given.contains("bits"), format == nil, !given.contains("scales"), !scales.isPlain {
      scales = .f16
    }
  }

  static let key = "quantize"
  static let summary = "Stores the base as codes of few bits with scales."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      How codes are chosen: `rtn` rounds to the nearest; `gptq` makes good what rounding one input \
      costs by the next ones, calibrated on a text (`calibration`); `hqq` fits scales so that a few \
      large errors count for little, without data.
      """),
    .alternative(
      "bits", of: "grid", .integer(2...8), "Bits of a code on an integer grid.",
      get: { $0.format == nil ? $0.bits : nil },
      set: {
        $0.bits = $1
        $0.format = nil
      }),
    .alternative(
      "format", of: "grid", .choice(),
      """
      Another number format than integers: codebooks, small floats (`eXmY`: X exponent and Y \
      mantissa bits), block formats. It brings its own default of `group` and `scales`.
      """,
      get: { $0.format }, set: { $0.format = $1 }),
    .optional(
      "group", \.group, .group,
      """
      How many inputs of an output channel share a scale. Where it does not divide the width, the \
      largest power of two below it that does, but not below 16; then each channel has one scale \
      (`strict_groups: true` makes it an error).
      """),
    .optional(
      "symmetric", \.symmetric, .boolean,
      "Whether the grid is centred on zero; otherwise each group stores a zero point."),
    .optional(
      "clip", \.clip, .choice(),
      """
      The range of a group: `mse` searches the least squared error, `none` holds every value; \
      `output` (with `rtn`) searches the least error of the layer's output (calibrated).
      """),
    .optional(
      "scales", \.scales, .choice(),
      """
      The type that scales are stored in; `bits` takes `f16`, `bf16` and `f32`, a `format` also \
      `e8m0` (powers of two), `e4m3` (times one f32 for the tensor), `dynamic8` (double \
      quantization) and `ratio` (a row's largest over powers of two).
      """),
    .optional(
      "rule", \.rule, .choice(),
      """
      Only with `format` and `clip: none`: `absmax` (the default) lays the largest number on the \
      format's end, `absmean` takes the mean magnitude (the default of `ternary`), `floor` and \
      `round_up` are MX's rules for `e8m0`.
      """),
    .optional(
      "packing", \.packing, .choice(),
      """
      Only with `format`: `stream` packs codes one after the other, `split` keeps the upper two \
      bits of 6-bit codes apart, `trits` packs five ternary codes in a byte.
      """),
    .optional(
      "exponent", \.exponent, .number(0.2...1.2),
      "Only with the power family: the exponent; found for each weight when absent."),
    .optional(
      "damping", \.damping, .fraction,
      "Only `gptq`: what steadies the statistics, relative to their mean; 0.01 when absent."),
    .optional(
      "order", \.order, .choice(),
      """
      Only `gptq`: which inputs are rounded first. `none` as they lie, `activation` the loudest \
      (the default), `groups` the loudest within the loudest group.
      """),
    .optional(
      "refit", \.refit, .boolean,
      """
      Whether the scales are fitted to the codes at the end, which needs statistics; when absent, \
      with `gptq` true and with `rtn` false.
      """),
    .optional(
      "rounding", \.rounding, .choice(),
      """
      Only `gptq`: `sweep` keeps the sweep's codes (the default), `learned` moves them to where \
      the layer's error is less, in turn with the scales.
      """),
    .optional(
      "bounded", \.bounded, .boolean,
      """
      Only `gptq` with `bits` in order `activation`: whether weights beyond their grids' ends are \
      moved there before the sweep, the others making good what it costs; true when absent.
      """),
    .optional(
      "weak_columns", \.weakColumns, .fraction,
      """
      Only `gptq` in order `activation`: the fraction of the inputs that stays in f16, those whose \
      rounding costs most (OWQ); none when absent.
      """),
    .optional(
      "salient_groups", \.salientGroups, .fraction,
      """
      Only `gptq` with `bits` 2 to 7: the fraction of the groups that gets one bit more, the most \
      salient; the least salient pay for it with one bit less, of 2 bits with ternary codes \
      (SliM-LLM); none when absent.
      """),
  ]
}

extension OptionCodec where Value == QuantizeOptions.Group {
  /// An integer, "channel" or "tensor".
  static let group = OptionCodec(
    schema: [
      "anyOf": [
        ["type": "integer", "minimum": 2, "maximum": 1_048_576], ["enum": ["channel", "tensor"]],
      ]
    ],
    expected: "an integer from 2 to 1048576, 'channel' or 'tensor'",
    decode: { value in
      switch value.scalar {
      case .integer(let size)? where (2...1_048_576).contains(size): .inputs(Int(size))
      case .text("channel")?: .channel
      case .text("tensor")?: .tensor
      default: nil
      }
    },
    encode: { group in
      switch group {
      case .inputs(let size): JSONValue(size)
      case .channel: "channel"
      case .tensor: "tensor"
      }
    },
    words: ["channel", "tensor"])
}
