import Recipes

/// What a search for bits may choose from, and what it must keep.
public struct SearchOptions: Sendable, Hashable {
  /// What the result must keep.
  public enum Target: Sendable, Hashable {
    /// Bits per weight of the compressed tensors, scales and zero points counted.
    case bitsPerWeight(Double)
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

  public static let defaultGroups: [QuantizeOptions.Group] = [
    .inputs(32), .inputs(64), .inputs(128), .channel,
  ]

  public var target: Target
  public var bits: ClosedRange<Int>
  /// How far a scale reaches.
  public var groups: [QuantizeOptions.Group]
  public var symmetric: Bool
  /// How the result's recipe rounds; candidates are measured rounded to the nearest.
  public var method: QuantizeOptions.Method
  public var estimator: Estimator
  /// Tensors to compress; nil as in a recipe without targets.
  public var targets: [Selector]?
  public var ignore: [Selector]
  public var name: String

  public init(
    target: Target, bits: ClosedRange<Int> = 2...8, groups: [QuantizeOptions.Group] = defaultGroups,
    symmetric: Bool = false, method: QuantizeOptions.Method = .rtn, estimator: Estimator = .probe,
    targets: [Selector]? = nil, ignore: [Selector] = [], name: String = "auto"
  ) {
    self.target = target
    self.bits = bits
    self.groups = groups
    self.symmetric = symmetric
    self.method = method
    self.estimator = estimator
    self.targets = targets
    self.ignore = ignore
    self.name = name
  }

  /// The stage of one candidate.
  func stage(bits: Int, group: QuantizeOptions.Group) -> QuantizeOptions {
    QuantizeOptions(method: .rtn, bits: bits, group: group, symmetric: symmetric)
  }
}
