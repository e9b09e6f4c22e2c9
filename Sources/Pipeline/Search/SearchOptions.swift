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
  /// How much is pruned before rounding, by SparseGPT; nil: nothing.
  public var sparsities: [PruneOptions.Amount?]
  /// Ranks of a path that repairs what was lost, by EoRA; 0: none.
  public var ranks: [Int]
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
    sparsities: [PruneOptions.Amount?] = [nil], ranks: [Int] = [0], symmetric: Bool = false,
    method: QuantizeOptions.Method = .rtn, estimator: Estimator = .probe,
    targets: [Selector]? = nil, ignore: [Selector] = [], name: String = "auto"
  ) {
    self.target = target
    self.bits = bits
    self.groups = groups
    self.sparsities = sparsities
    self.ranks = ranks
    self.symmetric = symmetric
    self.method = method
    self.estimator = estimator
    self.targets = targets
    self.ignore = ignore
    self.name = name
  }

  /// One way to compress a tensor, as a recipe says it.
  struct Way: Sendable, Hashable {
    let bits: Int
    let group: QuantizeOptions.Group
    let sparsity: PruneOptions.Amount?
    let rank: Int
  }

  /// Every way, the plain ones first.
  var ways: [Way] {
    ranks.flatMap { rank in
      sparsities.flatMap { sparsity in
        bits.flatMap { bits in
          groups.map { Way(bits: bits, group: $0, sparsity: sparsity, rank: rank) }
        }
      }
    }
  }

  /// Whether candidates need the statistics of their inputs.
  var needsStatistics: Bool { sparsities.contains { $0 != nil } || ranks.contains { $0 > 0 } }

  /// The stages of one way, rounding by a method.
  func stages(_ way: Way, method: QuantizeOptions.Method = .rtn) -> [Stage] {
    var stages: [Stage] = []
    if let sparsity = way.sparsity {
      stages.append(.prune(PruneOptions(method: .sparsegpt, amount: sparsity)))
    }
    stages.append(
      .quantize(
        QuantizeOptions(method: method, bits: way.bits, group: way.group, symmetric: symmetric)))
    if way.rank > 0 {
      stages.append(.lowRank(LowRankOptions(method: .eora, amount: .rank(way.rank))))
    }
    return stages
  }
}

extension SearchOptions.Way {
  /// What orders ways in a file, so that it does not depend on hashing: coarse groups first.
  var order: (Int, Int, Double, Int) {
    let reach =
      switch group {
      case .tensor: 0
      case .channel: 1
      case .inputs(let length): 2 + (1 << 32) / max(1, length)
      }
    let dropped =
      switch sparsity {
      case nil: -1.0
      case .sparsity(let share)?: share
      case .pattern(let n, let m)?: 1 + Double(m) + Double(n) / Double(m)
      }
    return (bits, reach, dropped, rank)
  }
}
