import Recipes
import Weights

extension BitSearch {
  /// What the same bytes give without a search: the same bits and groups everywhere, and a mix
  /// ordered by depth, a bit or two more for the first or the last tensors as far as the bytes go.
  ///
  /// Of each kind the one that the estimate prefers is measured, of the mix both directions.
  func comparisons(bytes: Int) throws -> [Result.Comparison] {
    let stages = options.roundings
    guard units.allSatisfy({ $0.numbers.count == stages.count }) else { return [] }
    let integers = stages.indices.filter { stages[$0].format == nil }
    let uniform = integers.map { number in units.map { $0.numbers[number] } }
      .filter { self.bytes($0) <= bytes }
    var found: [Result.Comparison] = []
    if let best = cheapest(uniform) {
      found.append(try comparison("the same everywhere", best))
    }
    let order = byDepth
    let mixes = [order, order.reversed()].compactMap { order in
      cheapest(
        integers.flatMap { less in
          integers.filter { more in
            (1...2).contains(stages[more].bits - stages[less].bits)
              && stages[more].group == stages[less].group
          }.compactMap { mix(less, $0, order, bytes: bytes) }
        })
    }
    let measured = try mixes.map { try comparison("more bits by depth", $0) }
    if let best = measured.min(by: { $0.divergence < $1.divergence }) { found.append(best) }
    return found
  }

  /// Units by the place of their layer in the model; those outside its blocks last.
  private var byDepth: [Int] {
    let places = probe.places
    func place(_ index: Int) -> Int { places[units[index].tensor.name] ?? .max }
    return units.indices.sorted { (place($0), $0) < (place($1), $1) }
  }

  /// The first units of an order with one candidate, as many as the bytes allow, the others with
  /// another; nil where that comes to one of them everywhere, or is too large.
  private func mix(_ less: Int, _ more: Int, _ order: [Int], bytes: Int) -> [Int]? {
    var choices = units.map { $0.numbers[less] }
    var rest = bytes - self.bytes(choices)
    guard rest >= 0 else { return nil }
    var raised = 0
    for index in order {
      let unit = units[index]
      let step =
        unit.candidates[unit.numbers[more]].bytes - unit.candidates[choices[index]].bytes
      guard step <= rest else { break }
      rest -= step
      choices[index] = unit.numbers[more]
      raised += 1
    }
    return raised > 0 && raised < units.count ? choices : nil
  }

  private func bytes(_ choices: [Int]) -> Int {
    zip(units, choices).reduce(0) { $0 + $1.0.candidates[$1.1].bytes }
  }

  /// The choices with the least estimated loss.
  private func cheapest(_ all: [[Int]]) -> [Int]? {
    func loss(_ choices: [Int]) -> Double {
      zip(units, choices).reduce(0) { $0 + $1.0.choices[$1.1].loss }
    }
    return all.map { ($0, loss($0)) }.min { $0.1 < $1.1 }?.0
  }

  private func comparison(_ kind: String, _ choices: [Int]) throws -> Result.Comparison {
    var replaced: [String: CompressedWeight] = [:]
    for (unit, choice) in zip(units, choices) {
      replaced[unit.tensor.name] = try compressed(unit, unit.candidates[choice])
    }
    let used = Set(zip(units, choices).map { $0.candidates[$1].way }).map(\.phrase).sorted()
    return Result.Comparison(
      name: "\(kind) (\(used.joined(separator: " / ")))",
      bitsPerWeight: Double(bytes(choices)) * 8 / Double(max(1, weightCount)),
      divergence: try probe.divergence(replacing: replaced))
  }
}
