/// The options of `activations`: the inputs of the weight are rounded while the model runs.
public struct ActivationOptions: Sendable, Hashable {
  /// The grid, by the names that artefacts use.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    case int8, int7, int6, int5, int4, int3, int2
    case fp8E4M3 = "fp8_e4m3"
    case fp8E5M2 = "fp8_e5m2"
    case fp6E3M2 = "fp6_e3m2"
    case fp6E2M3 = "fp6_e2m3"
    case fp4E2M1 = "fp4_e2m1"
  }

  /// How far one scale reaches.
  public enum Granularity: String, Sendable, Hashable, CaseIterable {
    /// Each token's row has its own.
    case token
    /// One, from the calibration.
    case tensor
    /// A run of inputs within a row.
    case block
    /// The same, scales under one number from the calibration.
    case tensorBlock = "tensor_block"
  }

  /// How a scale is kept.
  public enum Scale: String, Sendable, Hashable, CaseIterable {
    case f32, e8m0, e4m3
  }

  public var format: Format
  public var granularity: Granularity
  /// Only with `block` and `tensor_block`; nil is 32 and 16.
  public var block: Int?
  public var symmetric: Bool
  public var scale: Scale
  /// The share of the range that is kept; 1 keeps all.
  public var clip: Double
  @Incidental public var position: SourcePosition

  public init(
    format: Format = .int8, granularity: Granularity = .token, block: Int? = nil,
    symmetric: Bool = true, scale: Scale = .f32, clip: Double = 1, position: SourcePosition = .none
  ) {
    self.format = format
    self.granularity = granularity
    self.block = block
    self.symmetric = symmetric
    self.scale = scale
    self.clip = clip
    self.position = position
  }
}

extension ActivationOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "activations"
  static let summary = "Rounds the inputs of the weight whenever the model runs."
  static let options: [OptionDeclaration<Self>] = [
    .required("format", \.format, .choice(), "The grid that inputs are rounded to."),
    .optional(
      "granularity", \.granularity, .choice(),
      """
      How far a scale reaches: `token` gives each row its own, `block` each run of inputs within a \
      row, both found while running; `tensor` is one for all, from the calibration; `tensor_block` gives \
      each run its own under one number from the calibration (with `scale: e4m3`: NVFP4 as \
      compressed-tensors has it).
      """),
    .optional(
      "block", \.block, .integer(2...65536),
      "Only `block` and `tensor_block`: inputs of a run; 32 and 16 when absent."),
    .optional(
      "symmetric", \.symmetric, .boolean,
      "Whether the grid is centred on zero; otherwise ranges have a zero point (integers only)."),
    .optional(
      "scale", \.scale, .choice(),
      "How scales are kept: `f32`, `e8m0` (powers of two: MX) or `e4m3` (blocks only: NVFP4)."),
    .optional(
      "clip", \.clip, .number(0.1...1), "The share of a range that is kept; the rest saturates."),
  ]
}
