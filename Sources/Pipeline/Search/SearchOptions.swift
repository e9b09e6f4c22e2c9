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
  /// How much is pruned before rounding, by SparseGPT; nil: nothing.
  public var sparsities: [PruneOptions.Amount?]
  /// Ranks of a path that repairs what was lost, by EoRA; 0: none.
  public var ranks: [Int]
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
    formats: [Format] = [], sparsities: [PruneOptions.Amount?] = [nil], ranks: [Int] = [0],
    symmetric: Bool = false, method: QuantizeOptions.Method = .rtn,
    rounding: QuantizeOptions.Rounding? = nil, estimator: Estimator = .probe,
    targets: [Selector]? = nil, ignore: [Selector] = [], name: String = "auto"
  ) {
    self.target = target
    self.bits = bits
    self.groups = groups
    self.formats = formats
    self.sparsities = sparsities
    self.ranks = ranks
    self.symmetric = symmetric
    self.method = method
    self.rounding = rounding
    self.estimator = estimator
    self.targets = targets
    self.ignore = ignore
    self.name = name
  }

  /// One way to compress a tensor, as a recipe says it.
  public struct Way: Sendable, Hashable {
    /// How it is rounded; to the nearest where candidates are measured.
    public var stage: QuantizeOptions
    /// How much is pruned before; nil: nothing.
    public var sparsity: PruneOptions.Amount?
    /// The rank of the path that repairs; 0: none.
    public var rank: Int

    init(_ stage: QuantizeOptions, sparsity: PruneOptions.Amount? = nil, rank: Int = 0) {
      self.stage = stage
      self.sparsity = sparsity
      self.rank = rank
    }

    /// Whether it only rounds.
    var isPlain: Bool { sparsity == nil && rank == 0 }
  }

  /// Every way, with the least pruned and repaired first.
  var ways: [Way] {
    ranks.flatMap { rank in
      sparsities.flatMap { sparsity in
        roundings.map { Way($0, sparsity: sparsity, rank: rank) }
      }
    }
  }

  /// Every rounding: integers by bits and groups, then formats by groups.
  var roundings: [QuantizeOptions] {
    var result = bits.flatMap { bits in
      groups.map {
        QuantizeOptions(method: .rtn, bits: bits, group: $0, symmetric: symmetric)
      }
    }
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

  /// Whether candidates need the statistics of their inputs.
  var needsStatistics: Bool { sparsities.contains { $0 != nil } || ranks.contains { $0 > 0 } }

  /// The stages of one way as it is measured.
  func stages(_ way: Way) -> [Stage] { stages(way, rounding: way.stage) }

  /// The stages of one way in the recipe that is written.
  func final(_ way: Way) -> [Stage] {
    var stage = way.stage
    stage.method = method
    // Learned rounding is of integers.
    if method == .gptq, stage.format == nil { stage.rounding = rounding }
    return stages(way, rounding: stage)
  }

  private func stages(_ way: Way, rounding: QuantizeOptions) -> [Stage] {
    var stages: [Stage] = []
    if let sparsity = way.sparsity {
      stages.append(.prune(PruneOptions(method: .sparsegpt, amount: sparsity)))
    }
    stages.append(.quantize(rounding))
    if way.rank > 0 {
      stages.append(.lowRank(LowRankOptions(method: .eora, amount: .rank(way.rank))))
    }
    return stages
  }
}

extension SearchOptions.Way {
  /// "3 bits, groups of 64", "nf4, groups of 64, 0.5 pruned, rank 8".
  public var phrase: String {
    let reach =
      switch stage.group {
      case .tensor: "a scale a tensor"
      case .channel: "a scale a channel"
      case .inputs(let length): "groups of \(length)"
      }
    let pruned: String? =
      switch sparsity {
      case nil: nil
      case .sparsity(let share)?: "\(share) pruned"
      case .pattern(let n, let m)?: "\(n):\(m) kept"
      }
    let parts: [String?] = [
      stage.format.map(\.rawValue) ?? "\(stage.bits) bits", reach, pruned,
      rank > 0 ? "rank \(rank)" : nil,
    ]
    return parts.compactMap(\.self).joined(separator: ", ")
  }
}
