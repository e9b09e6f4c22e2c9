import Recipes

/// What a search for bits may choose from, and what it must keep.
public struct SearchOptions: Sendable, Hashable {
  /// What the result must keep.
  public enum Target: Sendable, Hashable {
    /// Bits per weight of the compressed tensors, scales and zero points counted.
    case bitsPerWeight(Double)
    /// Bits per weight of the codes alone, as names like "3 bits" count them.
    case codeBitsPerWeight(Double)
    /// Bytes of all tensors as stored, the ones that stay dense counted.
    case bytes(Int)
    /// Mean KL(model || compressed) on the search's windows, in nats.
    case divergence(Double)
  }

  /// How what a layer loses is put into the unit of the others.
  public enum Estimator: String, Sendable, Hashable, CaseIterable {
    /// The share of the layer's output that is lost, as it is (from the statistics alone).
    case output
    /// That share times what one unit of it costs in divergence, measured with only this layer
    /// compressed.
    case probe
  }

  /// A number format beside the integers, and how its scales are stored (nil: its own way).
  public struct Format: Sendable, Hashable {
    public var format: QuantizeOptions.Format
    public var scales: QuantizeOptions.Scales?

    public init(_ format: QuantizeOptions.Format, scales: QuantizeOptions.Scales? = nil) {
      self.format = format
      self.scales = scales
    }
  }

  public static let defaultGroups: [QuantizeOptions.Group] = [
    .inputs(32), .inputs(64), .inputs(128), .channel,
  ]

  public var target: Target
  public var bits: ClosedRange<Int>
  /// How far a scale reaches.
  public var groups: [QuantizeOptions.Group]
  /// Candidates beside integers.
  public var formats: [Format]
  public var symmetric: Bool
  /// How the result's recipe rounds; candidates are measured rounded to the nearest.
  public var method: QuantizeOptions.Method
  /// With `gptq`: how the recipe's codes are chosen in the end; nil is the stage's default.
  public var rounding: QuantizeOptions.Rounding?
  public var estimator: Estimator
  /// Tensors to compress; nil as in a recipe without targets.
  public var targets: [Selector]?
  public var ignore: [Selector]
  public var name: String

  public init(
    target: Target, bits: ClosedRange<Int> = 2...8, groups: [QuantizeOptions.Group] = defaultGroups,
    formats: [Format] = [], symmetric: Bool = false, method: QuantizeOptions.Method = .rtn,
    rounding: QuantizeOptions.Rounding? = nil, estimator: Estimator = .probe,
    targets: [Selector]? = nil, ignore: [Selector] = [], name: String = "auto"
  ) {
    self.target = target
    self.bits = bits
    self.groups = groups
    self.formats = formats
    self.symmetric = symmetric
    self.method = method
    self.rounding = rounding
    self.estimator = estimator
    self.targets = targets
    self.ignore = ignore
    self.name = name
  }

  /// The stage of one candidate.
  func stage(bits: Int, group: QuantizeOptions.Group) -> QuantizeOptions {
    QuantizeOptions(method: .rtn, bits: bits, group: group, symmetric: symmetric)
  }

  /// The stages of all candidates: integers by bits and groups, then formats by groups.
  var stages: [QuantizeOptions] {
    var result = bits.flatMap { bits in groups.map { stage(bits: bits, group: $0) } }
    for format in formats {
      for group in format.format.isBlock ? [format.format.group] : groups {
        result.append(
          QuantizeOptions(
            method: .rtn, format: format.format, group: group,
            scales: format.scales ?? format.format.scales,
            packing: format.format == .ternary ? .trits : nil))
      }
    }
    return result
  }

  /// The stage of the recipe for a candidate's.
  func final(_ stage: QuantizeOptions) -> QuantizeOptions {
    var result = stage
    result.method = method
    // Learned rounding is of integers.
    if method == .gptq, result.format == nil { result.rounding = rounding }
    return result
  }
}
