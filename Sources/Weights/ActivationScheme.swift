/// How the inputs of a linear layer are rounded: docs/activations.md.
///
/// Simulated: inputs go to the grid and back to f32, so that products are those that integer or
/// 8-bit floating-point arithmetic with exact sums would give.
public struct ActivationScheme: Sendable, Hashable {
  public var format: Format
  public var granularity: Granularity
  /// Integers only: whether the grid is centred on zero; otherwise every range has a zero point.
  public var symmetric: Bool
  /// How scales are kept.
  public var scale: Scale
  /// The share of the range that is kept, in (0, 1]; what lies outside saturates.
  public var clip: Float

  /// The grid.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    case int8, int7, int6, int5, int4, int3, int2
    case fp8E4M3 = "fp8_e4m3"
    case fp8E5M2 = "fp8_e5m2"
    case fp6E3M2 = "fp6_e3m2"
    case fp6E2M3 = "fp6_e2m3"
    case fp4E2M1 = "fp4_e2m1"
  }

  /// How far one scale reaches.
  public enum Granularity: Sendable, Hashable {
    /// Each token's row has its own, found while running.
    case token
    /// One for all rows, from the largest value of a calibration: max |T(x)|, positive and finite;
    /// nil while it is not known yet, in a file never.
    case tensor(maximum: Float?)
    /// Runs of so many inputs within a token's row, found while running.
    case block(Int)
    /// The same under one number for all rows, from the largest value of a calibration as for
    /// `tensor`: NVFP4 as other tools keep it.
    case tensorBlock(Int, maximum: Float?)
  }

  /// How a scale is kept.
  public enum Scale: String, Sendable, Hashable, CaseIterable {
    case f32
    /// A power of two, 2^(floor(log2 amax) - floor(log2 largest)): the MX formats.
    case e8m0
    /// E4M3 under one f32 scale, a token's or a tensor's: NVFP4.
    case e4m3
  }

  public init(
    format: Format, granularity: Granularity = .token, symmetric: Bool = true, scale: Scale = .f32,
    clip: Float = 1
  ) {
    self.format = format
    self.granularity = granularity
    self.symmetric = symmetric
    self.scale = scale
    self.clip = clip
  }
}

extension ActivationScheme.Format {
  /// Bits of an integer format; nil for floating-point ones.
  public var integerBits: Int? {
    switch self {
    case .int8: 8
    case .int7: 7
    case .int6: 6
    case .int5: 5
    case .int4: 4
    case .int3: 3
    case .int2: 2
    default: nil
    }
  }

  /// A floating-point format; nil for integers.
  var minifloat: Minifloat? {
    switch self {
    case .fp8E4M3: .e4m3
    case .fp8E5M2: .e5m2
    case .fp6E3M2: .e3m2
    case .fp6E2M3: .e2m3
    case .fp4E2M1: .e2m1
    default: nil
    }
  }
}

extension ActivationScheme {
  /// Schemes with a name of their own.
  public static let mxfp4 = Self(format: .fp4E2M1, granularity: .block(32), scale: .e8m0)
  public static let mxfp8 = Self(format: .fp8E4M3, granularity: .block(32), scale: .e8m0)
  public static let nvfp4 = Self(format: .fp4E2M1, granularity: .block(16), scale: .e4m3)

  /// NVFP4 under one number for all rows, max |T(x)| over 448 · 6.
  public static func nvfp4OfTensor(maximum: Float?) -> Self {
    Self(format: .fp4E2M1, granularity: .tensorBlock(16, maximum: maximum), scale: .e4m3)
  }

  /// Whether its range is found beforehand.
  public var isCalibrated: Bool {
    switch granularity {
    case .tensor, .tensorBlock: true
    case .token, .block: false
    }
  }

  /// The range that was found beforehand; nil while it is not known, and where there is none.
  public var maximum: Float? {
    get {
      switch granularity {
      case .tensor(let maximum), .tensorBlock(_, let maximum): maximum
      case .token, .block: nil
      }
    }
    set {
      switch granularity {
      case .tensor: granularity = .tensor(maximum: newValue)
      case .tensorBlock(let run, _): granularity = .tensorBlock(run, maximum: newValue)
      case .token, .block: break
      }
    }
  }

  /// The scheme that a short text names: a format or `fp8`, `fp4`, `mxfp4`, `mxfp8`, `nvfp4`, and
  /// behind it, each after a `/`, `asym` or a run of inputs such as `g32`.
  ///
  /// - Throws: `WeightsError.activationText`.
  public init(named text: String) throws(WeightsError) {
    var words = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    switch words.removeFirst() {
    case "mxfp4": self = .mxfp4
    case "mxfp8": self = .mxfp8
    case "nvfp4": self = .nvfp4
    case "fp8": self.init(format: .fp8E4M3)
    case "fp4": self.init(format: .fp4E2M1)
    case let word:
      guard let format = Format(rawValue: word) else { throw .activationText(text) }
      self.init(format: format)
    }
    for word in words {
      switch word {
      case "token": granularity = .token
      case "asym": symmetric = false
      default:
        guard word.first == "g", let run = Int(word.dropFirst()) else {
          throw .activationText(text)
        }
        granularity = .block(run)
      }
    }
    try validate()
  }

  /// What the scheme is, in a few words that `init(named:)` reads where no range is needed.
  public var name: String {
    if self == .mxfp4 { return "mxfp4" }
    if self == .mxfp8 { return "mxfp8" }
    if self == .nvfp4 { return "nvfp4" }
    if self == .nvfp4OfTensor(maximum: maximum) { return "nvfp4/tensor" }
    var text = format.rawValue
    switch granularity {
    case .token: text += "/token"
    case .tensor: text += "/tensor"
    case .block(let run): text += "/g\(run)"
    case .tensorBlock(let run, _): text += "/tensor/g\(run)"
    }
    if !symmetric { text += "/asym" }
    if scale != .f32 { text += "/\(scale.rawValue)" }
    return text
  }
}
