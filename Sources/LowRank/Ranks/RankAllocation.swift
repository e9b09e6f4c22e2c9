/// Ranks of many layers under one budget, from the layers' error curves.
public enum RankAllocation {
  /// The rank of every layer, by the largest gain for each number spent, one rank at a time.
  ///
  /// A layer's curve is convex (its gains are squared singular values, which descend), so for layers
  /// of one cost this is the optimum; for others it is at most one step of one layer away from it,
  /// and a step that no longer fits leaves room for cheaper ones.
  ///
  /// - Parameters:
  ///   - curves: for each layer the squared error at rank 0, 1, 2 …, not increasing.
  ///   - costs: what one rank of each layer costs, positive.
  ///   - budget: the most that all may cost together.
  /// - Throws: `LowRankError.optionOutOfRange` for costs that are not positive.
  public static func greedy(
    curves: [[Double]], costs: [Int], budget: Int
  ) throws(LowRankError) -> [Int] {
    guard curves.count == costs.count, costs.allSatisfy({ $0 > 0 }) else {
      throw .optionOutOfRange(name: "the cost of a rank", value: "\(costs)", allowed: "positive")
    }
    var ranks = [Int](repeating: 0, count: curves.count)
    var left = budget
    while true {
      var best: (layer: Int, gain: Double)?
      for (layer, curve) in curves.enumerated()
      where ranks[layer] + 1 < curve.count && costs[layer] <= left {
        let gain = (curve[ranks[layer]] - curve[ranks[layer] + 1]) / Double(costs[layer])
        if gain > best?.gain ?? 0 { best = (layer, gain) }
      }
      guard let best else { return ranks }
      ranks[best.layer] += 1
      left -= costs[best.layer]
    }
  }
}

/// One way to store a layer: what it takes, and what it loses.
public struct StorageOption: Sendable, Hashable {
  public var bytes: Int
  public var error: Double

  public init(bytes: Int, error: Double) {
    self.bytes = bytes
    self.error = error
  }
}

/// One option for each of many layers under one budget.
public enum BudgetAllocation {
  /// The chosen option of every layer.
  ///
  /// (1) The chosen bytes are within the budget; (2) the sum of errors is never above that of any
  /// single choice, the same option everywhere, that is within it; (3) up to the last step it is the
  /// optimum: a walk along the lower convex hull of every layer's options by the largest gain for a
  /// byte. What the last step leaves over goes to options off the hull.
  ///
  /// - Returns: nil when not even the cheapest options fit.
  public static func choose(_ layers: [[StorageOption]], budget: Int) -> [Int]? {
    let hulls = layers.map(hull)
    var position = [Int](repeating: 0, count: layers.count)
    var chosen = hulls.map { $0.first ?? 0 }
    guard layers.allSatisfy({ !$0.isEmpty }) else { return nil }
    var used = zip(layers, chosen).reduce(0) { $0 + $1.0[$1.1].bytes }
    guard used <= budget else { return nil }
    while true {
      var best: (layer: Int, gain: Double)?
      for (layer, hull) in hulls.enumerated() where position[layer] + 1 < hull.count {
        let (now, next) = (layers[layer][chosen[layer]], layers[layer][hull[position[layer] + 1]])
        guard used - now.bytes + next.bytes <= budget else { continue }
        let gain = (now.error - next.error) / Double(max(next.bytes - now.bytes, 1))
        if gain > best?.gain ?? 0 { best = (layer, gain) }
      }
      guard let best else { break }
      position[best.layer] += 1
      let next = hulls[best.layer][position[best.layer]]
      used += layers[best.layer][next].bytes - layers[best.layer][chosen[best.layer]].bytes
      chosen[best.layer] = next
    }
    fill(layers, &chosen, &used, budget)
    return better(layers, chosen, budget)
  }

  /// The options from which a layer's cheapest, and each next bit of error, is bought.
  private static func hull(_ options: [StorageOption]) -> [Int] {
    let order = options.indices.sorted {
      (options[$0].bytes, options[$0].error, $0) < (options[$1].bytes, options[$1].error, $1)
    }
    var result: [Int] = []
    for index in order {
      if let last = result.last, options[index].error >= options[last].error { continue }
      // A point above the line between its neighbours is never the best buy.
      while result.count >= 2 {
        let (a, b) = (options[result[result.count - 2]], options[result[result.count - 1]])
        let c = options[index]
        let before = (a.error - b.error) * Double(c.bytes - b.bytes)
        if before > (b.error - c.error) * Double(b.bytes - a.bytes) { break }
        result.removeLast()
      }
      result.append(index)
    }
    return result
  }

  /// Spends what is left, the largest gain first, whether on the hull or not.
  private static func fill(
    _ layers: [[StorageOption]], _ chosen: inout [Int], _ used: inout Int, _ budget: Int
  ) {
    while true {
      var best: (layer: Int, option: Int, gain: Double)?
      for (layer, options) in layers.enumerated() {
        let now = options[chosen[layer]]
        for (index, option) in options.enumerated()
        where used - now.bytes + option.bytes <= budget
          && now.error - option.error > best?.gain ?? 0
        {
          best = (layer, index, now.error - option.error)
        }
      }
      guard let best else { return }
      used += layers[best.layer][best.option].bytes - layers[best.layer][chosen[best.layer]].bytes
      chosen[best.layer] = best.option
    }
  }

  /// The choice, or the best single one where that is better.
  private static func better(
    _ layers: [[StorageOption]], _ chosen: [Int], _ budget: Int
  ) -> [Int] {
    func total(_ choice: [Int]) -> (bytes: Int, error: Double) {
      zip(layers, choice).reduce((0, 0.0)) {
        ($0.0 + $1.0[$1.1].bytes, $0.1 + $1.0[$1.1].error)
      }
    }
    var best = (choice: chosen, error: total(chosen).error)
    for option in 0..<(layers.map(\.count).min() ?? 0) {
      let single = [Int](repeating: option, count: layers.count)
      let sum = total(single)
      if sum.bytes <= budget, sum.error < best.error { best = (single, sum.error) }
    }
    return best.choice
  }
}
