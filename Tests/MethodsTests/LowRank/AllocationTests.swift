import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import LowRank

@Suite("Low rank: ranks and budgets over layers")
struct AllocationTests {
  /// Every choice of one option a layer.
  static func choices(_ counts: [Int]) -> [[Int]] {
    counts.reduce([[]]) { partial, count in
      partial.flatMap { start in (0..<count).map { start + [$0] } }
    }
  }

  @Test("ranks by marginal gain are what an exhaustive search finds")
  func ranks() throws {
    var random = PortableRandom(5)
    for round in 0..<40 {
      let curves = (0..<3).map { _ in
        let gains = (0..<4).map { _ in random.uniform() }.sorted(by: >)
        return gains.reversed().reduce(into: [0.0]) { $0.append(($0.last ?? 0) + $1) }
          .reversed().map { $0 }
      }
      let costs = round % 2 == 0 ? [3, 3, 3] : [2, 3, 5]
      let budget = 6 + round % 20
      let ranks = try RankAllocation.greedy(curves: curves, costs: costs, budget: budget)
      func spent(_ ranks: [Int]) -> Int { zip(ranks, costs).reduce(0) { $0 + $1.0 * $1.1 } }
      func error(_ ranks: [Int]) -> Double { zip(ranks, curves).reduce(0) { $0 + $1.1[$1.0] } }
      #expect(spent(ranks) <= budget)
      let best = Self.choices([5, 5, 5]).filter { spent($0) <= budget }.map(error).min() ?? 0
      if round % 2 == 0 {
        #expect(abs(error(ranks) - best) < 1e-12)
      } else {
        // At most one step of one layer away.
        #expect(error(ranks) - best <= (curves.map { $0[0] - $0[1] }.max() ?? 0))
      }
    }
    #expect(throws: LowRankError.self) {
      try RankAllocation.greedy(curves: [[1, 0]], costs: [0], budget: 3)
    }
  }

  /// What a choice takes and loses.
  static func total(_ choice: [Int], _ layers: [[StorageOption]]) -> StorageOption {
    var sum = StorageOption(bytes: 0, error: 0)
    for (layer, option) in choice.enumerated() {
      sum.bytes += layers[layer][option].bytes
      sum.error += layers[layer][option].error
    }
    return sum
  }

  @Test("a mixed choice is never worse than a single one, and nearly an exhaustive search's")
  func budget() throws {
    var random = PortableRandom(6)
    var better = 0
    for _ in 0..<60 {
      var layers: [[StorageOption]] = []
      for layer in 0..<4 {
        var options: [StorageOption] = []
        for option in 0..<5 {
          let bytes = 10 * (option + 1) + Int(random.uniform() * 9)
          let error = random.uniform() * Double(layer + 1) / Double(option + 1)
          options.append(StorageOption(bytes: bytes, error: error))
        }
        layers.append(options)
      }
      let budget = 60 + Int(random.uniform() * 100)
      var best: Double?
      for choice in Self.choices([5, 5, 5, 5]) {
        let sum = Self.total(choice, layers)
        if sum.bytes <= budget { best = min(best ?? sum.error, sum.error) }
      }
      guard let chosen = BudgetAllocation.choose(layers, budget: budget), let best else {
        #expect(best == nil)
        continue
      }
      let found = Self.total(chosen, layers)
      #expect(found.bytes <= budget && found.error >= best - 1e-12)
      var largest = 0.0
      for option in layers.joined() { largest = max(largest, option.error) }
      #expect(found.error - best <= largest)
      for option in 0..<5 {
        let single = Self.total([Int](repeating: option, count: 4), layers)
        guard single.bytes <= budget else { continue }
        #expect(found.error <= single.error)
        if found.error < 0.9 * single.error { better += 1 }
      }
    }
    #expect(better > 20)
  }
}
