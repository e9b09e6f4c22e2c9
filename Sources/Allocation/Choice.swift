/// One way to keep a unit (a layer's weight, a group of tied ones): what it costs and what it loses.
///
/// Bits, ranks and sparsities are all allocated through this.
public struct Choice: Sendable, Hashable {
  /// In bytes, or any whole unit; not negative.
  public var cost: Int
  /// What is added up over units and made small; finite.
  public var loss: Double

  public init(cost: Int, loss: Double) {
    self.cost = cost
    self.loss = loss
  }
}

/// A choice for every unit.
public struct Allocation: Sendable, Hashable {
  /// Per unit the number of its choice.
  public var choices: [Int]
  public var cost: Int
  public var loss: Double
  /// Costs closer than this were told apart only where they decided about the budget: 1 for an
  /// exact solution.
  public var grain: Int
}

/// What cannot be allocated.
public enum AllocationError: Error, Hashable, Sendable, CustomStringConvertible {
  case noChoices(unit: Int)
  case costNegative(unit: Int, choice: Int, cost: Int)
  case lossNotFinite(unit: Int, choice: Int)
  case budgetTooSmall(budget: Int, cheapest: Int)
  case tooLarge

  public var description: String {
    switch self {
    case .noChoices(let unit): "unit \(unit) has no choices"
    case .costNegative(let unit, let choice, let cost):
      "unit \(unit), choice \(choice): a cost of \(cost); it cannot be negative"
    case .lossNotFinite(let unit, let choice):
      "unit \(unit), choice \(choice): its loss is NaN or infinite"
    case .budgetTooSmall(let budget, let cheapest):
      "a budget of \(budget), but the cheapest choices of all units cost \(cheapest) together"
    case .tooLarge: "costs add up beyond 64 bits"
    }
  }
}
