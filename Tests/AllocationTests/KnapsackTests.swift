import Allocation
import Foundation
import Testing

@Suite struct KnapsackTests {
  /// A plain generator, so that the room's tests need no other room.
  private struct Generator {
    var state: UInt64
    mutating func next(below bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  private func random(_ seed: UInt64, units: Int, choices: Int, cost: Int) -> [[Choice]] {
    var generator = Generator(state: seed)
    return (0..<units).map { _ in
      (0..<choices).map { _ in
        Choice(
          cost: generator.next(below: cost), loss: Double(generator.next(below: 100_000)) / 1000)
      }
    }
  }

  /// The smallest loss within a budget, by trying everything.
  private func exhaustive(_ units: [[Choice]], budget: Int) -> Double {
    func search(_ unit: Int, _ left: Int) -> Double {
      guard unit < units.count else { return 0 }
      return units[unit].filter { $0.cost <= left }
        .map { $0.loss + search(unit + 1, left - $0.cost) }.min() ?? .infinity
    }
    return search(0, budget)
  }

  @Test(arguments: 1...20) func asGoodAsTryingEverything(_ seed: UInt64) throws {
    let units = random(seed, units: 6, choices: 5, cost: 60)
    let cheapest = units.reduce(0) { $0 + ($1.map(\.cost).min() ?? 0) }
    var last = Double.infinity
    for budget in stride(from: cheapest, to: cheapest + 200, by: 17) {
      let found = try Knapsack.solve(units, budget: budget)
      #expect(found.grain == 1 && found.cost <= budget)
      #expect(abs(found.loss - exhaustive(units, budget: budget)) < 1e-9)
      // (3) A larger budget is never worse.
      #expect(found.loss <= last + 1e-9)
      last = found.loss
      let cost = zip(found.choices, units).reduce(0) { $0 + $1.1[$1.0].cost }
      #expect(cost == found.cost)
    }
  }

  /// Few states for large costs: the budget holds, little of it is left, little is lost.
  @Test func coarseStatesStayWithinTheBudgetAndNearTheBest() throws {
    // Bits 2 to 8 of forty layers: the loss falls fourfold a bit, from sizes and weights of its own.
    var generator = Generator(state: 5)
    let units = (0..<40).map { _ -> [Choice] in
      let size = 10_000 + generator.next(below: 1_000_000)
      let weight = Double(1 + generator.next(below: 1000))
      return (2...8).map { bits in
        Choice(cost: size * bits + 13 * bits, loss: weight * (0...bits).reduce(1) { a, _ in a / 4 })
      }
    }
    let sizes = units.reduce(0) { $0 + $1[1].cost }
    let fine = try Knapsack.solve(units, budget: sizes, states: 1 << 16)
    let coarse = try Knapsack.solve(units, budget: sizes, states: 1 << 13)
    #expect(coarse.grain > fine.grain)
    for found in [fine, coarse] {
      #expect(found.cost <= sizes)
      #expect(Double(found.cost) > 0.995 * Double(sizes))
    }
    #expect(coarse.loss < 1.005 * fine.loss)
    // No allocation within the budget loses less than the relaxed problem's bound, which is 0.8354
    // of what three bits for all, the budget itself, lose: 0.8 of it cannot be had on this sample.
    let bound = relaxed(units, budget: sizes)
    let uniform = units.reduce(0) { $0 + $1[1].loss }
    #expect(bound > 0.835 * uniform && bound < 0.836 * uniform)
    #expect(fine.loss >= bound && coarse.loss < 1.005 * bound, "\(coarse.loss / bound)")
  }

  /// The largest of the Lagrangian bounds, min Σ (loss + λ·cost) − λ·budget over prices λ.
  ///
  /// No allocation within the budget has a smaller loss. Concave in λ, so that a search by thirds
  /// over its logarithm finds it.
  private func relaxed(_ units: [[Choice]], budget: Int) -> Double {
    func bound(_ exponent: Double) -> Double {
      let price = pow(10, exponent)
      return units.reduce(-price * Double(budget)) { sum, choices in
        sum + (choices.map { $0.loss + price * Double($0.cost) }.min() ?? 0)
      }
    }
    var (low, high) = (-12.0, 0.0)
    for _ in 0..<200 {
      let third = (high - low) / 3
      if bound(low + third) < bound(high - third) { low += third } else { high -= third }
    }
    return bound((low + high) / 2)
  }

  /// ptq.md C2: the nineteen layers of HAWQ-V3's ResNet18, with its published allocation by size.
  @Test func theAllocationOfHAWQ() throws {
    let trace = [
      0.06857826, 0.03162379, 0.03298575, 0.01205663, 0.02222431, 0.00596336, 0.06931772,
      0.00807129, 0.00372905, 0.00530698, 0.00209011, 0.00737569, 0.00210454, 0.00151197,
      0.00158041, 0.00078146, 0.00451841, 0.00098745, 0.00072944,
    ]
    let at8 = [
      0.0235, 0.0125, 0.0102, 0.0082, 0.0145, 0.0344, 0.0023, 0.0287, 0.0148, 0.0333, 0.0682,
      0.0027, 0.0448, 0.0336, 0.0576, 0.1130, 0.0102, 0.0947, 0.0532,
    ]
    let at4 = [
      6.7430, 3.9691, 3.3281, 2.6796, 4.7277, 10.5966, 0.6827, 9.0942, 4.8857, 10.7599, 21.7546,
      0.8603, 14.5324, 10.9651, 18.7706, 36.4044, 3.1572, 29.6994, 17.4016,
    ]
    let parameters =
      [36864, 36864, 36864, 36864, 73728, 147456, 8192, 147456, 147456, 294912, 589824]
      + [32768, 589824, 589824, 1_179_648, 2_359_296, 131_072, 2_359_296, 2_359_296]
    // Layers that meet in a sum are tied.
    let ties = [[4, 6], [9, 11], [14, 16]]
    let groups = (0..<19).filter { layer in !ties.contains { $0[1] == layer } }
      .map { layer in ties.first { $0[0] == layer } ?? [layer] }
    let units = groups.map { layers in
      [8, 4].map { bits in
        layers.reduce(Choice(cost: 0, loss: 0)) { sum, layer in
          Choice(
            cost: sum.cost + parameters[layer] * bits / 8,
            loss: sum.loss + trace[layer] * (bits == 8 ? at8[layer] : at4[layer]))
        }
      }
    }
    let all = parameters.reduce(0, +)
    let found = try Knapsack.solve(units, budget: all / 2 + all / 4)
    #expect(found.grain == 1)
    var bits = Array(repeating: 0, count: 19)
    for (group, choice) in zip(groups, found.choices) {
      for layer in group { bits[layer] = choice == 0 ? 8 : 4 }
    }
    #expect(bits.map(String.init).joined() == "8888888888888884844")
    #expect(found.cost == 7_618_560)
  }

  @Test func whatCannotBeSolvedIsSaid() {
    let unit = [Choice(cost: 5, loss: 1), Choice(cost: 9, loss: 0)]
    #expect(throws: AllocationError.budgetTooSmall(budget: 9, cheapest: 10)) {
      try Knapsack.solve([unit, unit], budget: 9)
    }
    #expect(throws: AllocationError.noChoices(unit: 1)) {
      try Knapsack.solve([unit, []], budget: 9)
    }
    #expect(throws: AllocationError.lossNotFinite(unit: 0, choice: 0)) {
      try Knapsack.solve([[Choice(cost: 1, loss: .nan)]], budget: 9)
    }
    #expect(throws: AllocationError.costNegative(unit: 0, choice: 0, cost: -1)) {
      try Knapsack.solve([[Choice(cost: -1, loss: 0)]], budget: 9)
    }
    #expect(throws: AllocationError.tooLarge) {
      try Knapsack.solve(Array(repeating: [Choice(cost: .max, loss: 0)], count: 2), budget: .max)
    }
  }

  @Test func oneUnitAndNothingToChoose() throws {
    #expect(try Knapsack.solve([], budget: 3).choices.isEmpty)
    let found = try Knapsack.solve([[Choice(cost: 4, loss: 2)]], budget: 1 << 60)
    #expect(found.choices == [0] && found.cost == 4 && found.loss == 2)
  }
}
