import JSONText

extension QuantizeOptions {
  /// Number formats beside integer grids; docs/formats.md has their values.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    // Codebooks.
    case nf4, fp4, ternary
    // Power-exponent grids.
    case power3, power4, power5, power6, power8
    // Small floats.
    case e1m1, e2m0
    case e2m1, e1m2, e3m0
    case e2m2, e3m1
    case e2m3, e3m2
    case e2m4, e3m3
    case e4m3, e5m2, e3m4
    // Block formats with scales of their own.
    case mxfp4
    case mxfp6E3M2 = "mxfp6_e3m2"
    case mxfp6E2M3 = "mxfp6_e2m3"
    case mxfp8E4M3 = "mxfp8_e4m3"
    case mxfp8E5M2 = "mxfp8_e5m2"
    case mxint8
    case nvfp4
    // Sums of ±1 planes.
    case bcq1, bcq2, bcq3, bcq4
    // ggml's blocks.
    case q40 = "q4_0"
    case q41 = "q4_1"
    case q50 = "q5_0"
    case q51 = "q5_1"
    case q80 = "q8_0"
    case q2K = "q2_k"
    case q3K = "q3_k"
    case q4K = "q4_k"
    case q5K = "q5_k"
    case q6K = "q6_k"
  }

  /// How scales are stored.
  public enum Scales: String, Sendable, Hashable, CaseIterable {
    case f16, bf16, f32
    /// Powers of two, one byte.
    case e8m0
    /// 8-bit floats times one f32 for the tensor.
    case e4m3
    /// bitsandbytes' double quantization.
    case dynamic8
    /// A row's largest scale over powers of two.
    case ratio

    /// Whether a scale is a floating-point number by itself, as integer grids need it.
    public var isPlain: Bool { self == .f16 || self == .bf16 || self == .f32 }
  }

  /// How a scale follows from its group where none is searched for.
  public enum Rule: String, Sendable, Hashable, CaseIterable {
    case absmax, absmean, floor
    case roundUp = "round_up"
  }

  /// How codes lie in bytes.
  public enum Packing: String, Sendable, Hashable, CaseIterable {
    /// One after the other.
    case stream
    /// Two and four bits of 6-bit codes apart.
    case split
    /// Five ternary codes a byte.
    case trits
  }
}

extension QuantizeOptions.Format {
  /// Whether the group and the scales are part of the format.
  public var isBlock: Bool {
    switch self {
    case .mxfp4, .mxfp6E3M2, .mxfp6E2M3, .mxfp8E4M3, .mxfp8E5M2, .mxint8, .nvfp4: true
    default: isGGML
    }
  }

  /// Whether the format is one of ggml's, which choose their scales in their own way.
  public var isGGML: Bool {
    switch self {
    case .q40, .q41, .q50, .q51, .q80, .q2K, .q3K, .q4K, .q5K, .q6K: true
    default: false
    }
  }

  /// The ±1 planes of binary-coded weights; nil of other formats.
  public var planes: Int? {
    switch self {
    case .bcq1: 1
    case .bcq2: 2
    case .bcq3: 3
    case .bcq4: 4
    default: nil
    }
  }

  /// The group where a recipe says none.
  public var group: QuantizeOptions.Group {
    switch self {
    case .nvfp4: .inputs(16)
    case .mxfp4, .mxfp6E3M2, .mxfp6E2M3, .mxfp8E4M3, .mxfp8E5M2, .mxint8: .inputs(32)
    case .nf4, .fp4: .inputs(64)
    case .q40, .q41, .q50, .q51, .q80: .inputs(32)
    case .q2K, .q3K, .q4K, .q5K, .q6K: .inputs(256)
    case .e4m3, .e5m2, .e3m4: .channel
    default: .inputs(128)
    }
  }

  /// The scales where a recipe says none.
  public var scales: QuantizeOptions.Scales {
    switch self {
    case .nvfp4: .e4m3
    case .mxfp4, .mxfp6E3M2, .mxfp6E2M3, .mxfp8E4M3, .mxfp8E5M2, .mxint8: .e8m0
    // Their range leaves scales too small for f16.
    case .e4m3, .e5m2, .e3m4: .f32
    default: .f16
    }
  }
}

extension QuantizeOptions {
  /// What in these options contradicts itself, as a sentence; nil when nothing does.
  public var contradiction: String? {
    guard let format else {
      if method == .hqq, refit == true { return "'refit' is for methods 'rtn' and 'gptq'" }
      if !scales.isPlain { return "scales '\(scales.rawValue)' need a 'format', not 'bits'" }
      if rule != nil { return "'rule' needs a 'format', not 'bits'" }
      if packing != nil { return "'packing' needs a 'format', not 'bits'" }
      if salientGroups != nil {
        if bits == 8 { return "'salient_groups' takes 2 to 7 bits: there are no codes of 9" }
        guard case .inputs = group else { return "'salient_groups' needs groups of inputs" }
        if weakColumns != nil { return "'salient_groups' and 'weak_columns' exclude each other" }
        if rounding == .learned { return "'salient_groups' takes 'rounding: sweep' only" }
      }
      if exponent != nil { return "'exponent' needs a 'format' of the power family, not 'bits'" }
      return nil
    }
    let name = format.rawValue
    if salientGroups != nil { return "'salient_groups' is for 'bits'" }
    if refit == true {
      if format.isBlock { return "'refit' takes scales of their own; '\(name)' has its own" }
      if scales == .ratio || scales == .dynamic8 {
        return "'refit' takes scales stored one by one, not '\(scales.rawValue)'"
      }
    }
    if clip == .output { return "'clip: output' is for 'bits'; '\(name)' takes 'mse' or 'none'" }
    if method == .hqq { return "method 'hqq' is for 'bits'" }
    if !symmetric { return "'symmetric: false' is for 'bits'; '\(name)' has no zero points" }
    if format.isBlock {
      if group != format.group { return "'\(name)' has its own groups; leave 'group' out" }
      if scales != format.scales { return "'\(name)' has its own scales; leave 'scales' out" }
    }
    if format.isGGML {
      if clip == .none { return "'\(name)' chooses its scales in its own way; leave 'clip' out" }
      if packing != nil { return "'\(name)' has its own packing; leave 'packing' out" }
    }
    if format.planes != nil {
      if clip == .none { return "'\(name)' fits its scales in its own way; leave 'clip' out" }
      if !scales.isPlain { return "'\(name)' takes scales 'f16', 'bf16' and 'f32'" }
      if packing == .split || packing == .trits { return "'\(name)' has its own packing" }
      if group == .tensor { return "'\(name)' takes groups of inputs, or 'channel'" }
    }
    if rule == .floor || rule == .roundUp, scales != .e8m0 {
      return "the rule '\(rule?.rawValue ?? "")' gives powers of two; it needs scales 'e8m0'"
    }
    if rule != nil, clip == .mse {
      return "'rule' does nothing beside 'clip: mse'; use 'clip: none'"
    }
    if packing == .trits, format != .ternary { return "packing 'trits' is for 'ternary' only" }
    if packing == .split, ![.e2m3, .e3m2, .mxfp6E2M3, .mxfp6E3M2, .power6].contains(format) {
      return "packing 'split' is for 6-bit formats only"
    }
    if exponent != nil, !name.hasPrefix("power") {
      return "'exponent' is an option of the power family only"
    }
    if group == .tensor, scales == .ratio || scales == .dynamic8 {
      return "scales '\(scales.rawValue)' need several scales; 'group: tensor' has one"
    }
    return nil
  }
}
