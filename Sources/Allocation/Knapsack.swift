/// The multiple-choice knapsack: one choice per unit, the smallest total loss whose total cost stays
/// within a budget (ptq.md C1; Sinha & Zoltners 1979).
///
/// (1) The total cost never exceeds the budget. (2) With a grain of 1 the loss is the smallest there
/// is. (3) A larger budget never gives a larger loss, with a grain of 1.
public enum Knapsack {
  /// The most states of the table: units × states × choices steps, two bytes a unit and state.
  public static let defaultStates = 1 << 15

  /// Dynamic programming over what is spent beyond the cheapest choices.
  ///
  /// Costs are divided by the common divisor of their differences first. When the budget still has
  /// more steps than `states`, states are kept per run of `grain` steps: of the partial allocations
  /// within a run the one with the smallest loss stays, with its true cost, so that roundings do not
  /// add up and the budget is compared with true costs. What is left of the budget at the end is
  /// spent on single better choices. The spare of the budget is then at most about a grain, 1/`states`
  /// of the budget, where choices are fine enough to fill it.
  ///
  /// - Parameters:
  ///   - units: the choices of each unit.
  ///   - budget: the largest total cost.
  /// - Throws: `AllocationError`.
  public static func solve(
    _ units: [[Choice]], budget: Int, states: Int = defaultStates
  ) throws(AllocationError) -> Allocation {
    let fronts = try units.enumerated().map { (index, choices) throws(AllocationError) in
      try Front(choices, unit: index)
    }
    var cheapest = 0
    for front in fronts {
      let (sum, overflow) = cheapest.addingReportingOverflow(front.steps[0].cost)
      guard !overflow else { throw .tooLarge }
      cheapest = sum
    }
    guard cheapest <= budget else { throw .budgetTooSmall(budget: budget, cheapest: cheapest) }
    // Beyond the dearest choices of all units there is nothing to buy.
    let most = fronts.reduce(0) { $0 + ($1.steps.last?.cost ?? 0) - $1.steps[0].cost }
    let spare = min(budget - cheapest, most)
    let unit = max(1, fronts.reduce(0) { $1.divisor($0) })
    let grain = max(1, (spare / unit + states) / states) * unit
    let table = Table(fronts, spare: spare, grain: grain)
    var picked = table.best()
    improve(&picked, fronts, budget: budget)
    return Allocation(
      choices: zip(picked, fronts).map { $1.steps[$0].choice },
      cost: zip(picked, fronts).reduce(0) { $0 + $1.1.steps[$1.0].cost },
      loss: zip(picked, fronts).reduce(0) { $0 + $1.1.steps[$1.0].loss },
      grain: grain / unit)
  }

  /// Spends what is left, the largest gain first; changes nothing about an exact solution.
  private static func improve(_ picked: inout [Int], _ fronts: [Front], budget: Int) {
    var left = budget - zip(picked, fronts).reduce(0) { $0 + $1.1.steps[$1.0].cost }
    while true {
      var best: (unit: Int, step: Int, gain: Double)?
      for (index, front) in fronts.enumerated() {
        let now = front.steps[picked[index]]
        for step in (picked[index] + 1)..<max(picked[index] + 1, front.steps.count) {
          let next = front.steps[step]
          guard next.cost - now.cost <= left else { break }
          if now.loss - next.loss > best?.gain ?? 0 { best = (index, step, now.loss - next.loss) }
        }
      }
      guard let best else { return }
      left -=
        fronts[best.unit].steps[best.step].cost - fronts[best.unit].steps[picked[best.unit]].cost
      picked[best.unit] = best.step
    }
  }
}

/// A unit's choices that no other one beats in cost and loss, the cheapest first.
struct Front {
  struct Step {
    let choice: Int
    let cost: Int
    let loss: Double
  }
  private(set) var steps: [Step] = []

  init(_ choices: [Choice], unit: Int) throws(AllocationError) {
    guard !choices.isEmpty else { throw .noChoices(unit: unit) }
    for (index, choice) in choices.enumerated() {
      guard choice.cost >= 0 else {
        throw .costNegative(unit: unit, choice: index, cost: choice.cost)
      }
      guard choice.loss.isFinite else { throw .lossNotFinite(unit: unit, choice: index) }
    }
    let order = choices.indices.sorted {
      (choices[$0].cost, choices[$0].loss, $0) < (choices[$1].cost, choices[$1].loss, $1)
    }
    for index in order where choices[index].loss < steps.last?.loss ?? .infinity {
      steps.append(Step(choice: index, cost: choices[index].cost, loss: choices[index].loss))
    }
  }

  /// The common divisor of a number and the differences of the costs.
  func divisor(_ start: Int) -> Int {
    steps.reduce(start) { gcd, step in
      var (a, b) = (gcd, step.cost - steps[0].cost)
      while b != 0 { (a, b) = (b, a % b) }
      return a
    }
  }
}

/// The table of the dynamic programming: per unit and state the step that led there.
private struct Table {
  private let fronts: [Front]
  private let states: Int
  /// units × states; −1 where a state cannot be reached.
  private var chosen: [Int16]
  /// units × states: the state of the units before.
  private var from: [Int32]
  private var losses: [Double]

  init(_ fronts: [Front], spare: Int, grain: Int) {
    self.fronts = fronts
    let states = spare / grain + 1
    self.states = states
    chosen = Array(repeating: -1, count: fronts.count * states)
    from = Array(repeating: 0, count: fronts.count * states)
    var loss = Array(repeating: Double.infinity, count: states)
    var cost = Array(repeating: 0, count: states)
    loss[0] = 0
    for (unit, front) in fronts.enumerated() {
      var nextLoss = Array(repeating: Double.infinity, count: states)
      var nextCost = Array(repeating: 0, count: states)
      let first = front.steps[0].cost
      for state in 0..<states where loss[state] < .infinity {
        for (number, step) in front.steps.enumerated() {
          let total = cost[state] + step.cost - first
          guard total <= spare else { break }
          let target = total / grain
          let candidate = loss[state] + step.loss
          let isBetter =
            candidate < nextLoss[target]
            || (candidate == nextLoss[target] && total < nextCost[target])
          guard isBetter else { continue }
          nextLoss[target] = candidate
          nextCost[target] = total
          chosen[unit * states + target] = Int16(number)
          from[unit * states + target] = Int32(state)
        }
      }
      (loss, cost) = (nextLoss, nextCost)
    }
    losses = loss
  }

  /// The steps of the smallest loss; the cheapest among equals.
  func best() -> [Int] {
    var state = losses.indices.min { losses[$0] < losses[$1] } ?? 0
    var result = Array(repeating: 0, count: fronts.count)
    for unit in fronts.indices.reversed() {
      result[unit] = Int(chosen[unit * states + state])
      state = Int(from[unit * states + state])
    }
    return result
  }
}
