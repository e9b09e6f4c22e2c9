import Allocation
import Architectures
import Checkpoints
import Foundation
import Models
import Quantization
import Recipes
import Tensors
import Weights

/// Bits and groups of every tensor under a budget (docs/search.md): errors per candidate, a unit
/// common to all layers, the exact allocation, an ordinary recipe.
public struct BitSearch {
  let source: any TensorSource
  private let weights: any WeightProvider
  private let statistics: CalibrationStatistics?
  let options: SearchOptions
  private let pool: WorkerPool
  private(set) var units: [SearchUnit]
  let probe: DivergenceProbe
  /// Bytes of the tensors that are not searched.
  private let otherBytes: Int

  /// What a search found.
  public struct Result: Sendable {
    public var recipe: Recipe
    /// Bytes of the searched tensors, and of all as stored.
    public var bytes: Int
    public var storedBytes: Int
    public var bitsPerWeight: Double
    /// The same of the codes alone.
    public var codeBitsPerWeight: Double
    /// The sum that the allocation made small: an estimate of the divergence with `probe`.
    public var predictedLoss: Double
    /// Measured with all tensors compressed as the recipe says, but rounded to the nearest.
    public var divergence: Double
    public var divergenceTokens: Int
    /// What no search at all would give at no more bytes, measured in the same way.
    public var comparisons: [Comparison] = []
    /// Per tensor, in the model's order.
    public var tensors: [Tensor]

    /// One way to spend the bytes without measuring layers.
    public struct Comparison: Sendable, Hashable {
      public var name: String
      public var bitsPerWeight: Double
      public var divergence: Double
    }

    /// One tensor of the result.
    public struct Tensor: Sendable, Hashable {
      public var name: String
      /// How it is compressed, as the recipe says it.
      public var way: SearchOptions.Way
      public var bytes: Int
      /// Of the codes alone.
      public var codeBytes: Int
      public var error: Double
      public var loss: Double
    }
  }

  /// Resolves the tensors and their candidates, and measures nothing yet.
  ///
  /// - Parameters:
  ///   - statistics: of the model's inputs; nil measures the weights alone.
  ///   - windows: tokens that divergences are measured on.
  /// - Throws: `PipelineError` when nothing is targeted or a candidate does not fit.
  public init(
    _ source: any TensorSource, weights: any WeightProvider, statistics: CalibrationStatistics?,
    windows: [[Int32]], options: SearchOptions, pool: WorkerPool
  ) throws {
    self.source = source
    self.weights = weights
    self.statistics = statistics
    self.options = options
    self.pool = pool
    guard statistics != nil || !options.needsStatistics else {
      throw PipelineError.search(
        reason: "pruning and repairing paths are fitted to statistics of the inputs; give them")
    }
    let template = Self.template(options)
    let plan = try Planner.plan(template, for: source, options: PlanOptions(workers: pool.workers))
    units = try plan.tensors.compactMap { planned in
      guard case .compress(let compression) = planned.decision else { return nil }
      return try SearchUnit(planned.tensor, compression.view, options, template)
    }
    guard !units.isEmpty else {
      throw PipelineError.search(reason: "no tensor is targeted: there is nothing to allocate")
    }
    let searched = Set(units.map(\.tensor.name))
    otherBytes = plan.tensors.filter { !searched.contains($0.tensor.name) }
      .reduce(0) { $0 + $1.storedBytes }
    probe = try DivergenceProbe(weights, windows: windows, pool: pool)
  }

  private static func template(_ options: SearchOptions) -> Recipe {
    return Recipe(
      name: options.name, targets: options.targets, ignore: options.ignore,
      stages: [.quantize(options.roundings[0])])
  }

  /// The tensors that are searched.
  public var tensorCount: Int { units.count }

  /// Measures, allocates, and tells how good the result is.
  ///
  /// - Parameter progress: told how many tensors are measured, and when probing begins.
  /// - Throws: `PipelineError.search` for a budget that cannot be met.
  public mutating func run(progress: (Int) -> Void = { _ in }) throws -> Result {
    try measure(progress: progress)
    if options.estimator == .probe { try calibrate(progress: progress) }
    var found = try found()
    found.comparisons = try comparisons(bytes: found.bytes)
    return found
  }

  /// Weights of the searched tensors.
  var weightCount: Int { units.reduce(0) { $0 + $1.view.rows * $1.view.columns } }

  private func found() throws -> Result {
    switch options.target {
    case .bitsPerWeight(let bits), .codeBitsPerWeight(let bits):
      return try result(budget: Int(bits * Double(weightCount) / 8))
    case .bytes(let bytes):
      guard bytes > otherBytes else {
        throw PipelineError.search(
          reason: "\(bytes) bytes, but the tensors that stay dense take \(otherBytes) alone")
      }
      return try result(budget: bytes - otherBytes)
    case .divergence(let bound): return try smallest(under: bound)
    }
  }

  private mutating func measure(progress: (Int) -> Void) throws {
    let step = max(1, pool.workers)
    for first in stride(from: 0, to: units.count, by: step) {
      let range = first..<min(first + step, units.count)
      let part = Array(units[range])
      let (source, statistics) = (source, statistics)
      let measured = try pool.map(part.count) { index throws -> SearchUnit in
        var unit = part[index]
        try unit.measure(source, statistics: Self.input(of: unit, statistics))
        return unit
      }
      units.replaceSubrange(range, with: measured)
      progress(range.upperBound)
    }
  }

  private static func input(
    of unit: SearchUnit, _ statistics: CalibrationStatistics?
  ) -> InputStatistics? {
    statistics?.input(of: module(unit.tensor.name))
  }

  func compressed(
    _ unit: SearchUnit, _ candidate: SearchUnit.Candidate
  ) throws -> CompressedWeight {
    try unit.compressed(
      unit.original(source), candidate, statistics: Self.input(of: unit, statistics))
  }

  private static func module(_ tensor: String) -> String {
    tensor.hasSuffix(".weight") ? String(tensor.dropLast(7)) : tensor
  }

  /// What one unit of a layer's error costs: its divergence with only this layer compressed, at the
  /// candidate whose bits are next to what the budget means, over its error there.
  private mutating func calibrate(progress: (Int) -> Void) throws {
    let aim = min(max(probeBits, options.bits.lowerBound), options.bits.upperBound)
    for index in units.indices {
      let unit = units[index]
      let candidate = unit.candidates.filter {
        $0.way.isPlain && $0.way.stage.format == nil && $0.way.stage.bits == aim
      }.max { $0.error < $1.error }
      guard let candidate, candidate.error > 0 else { continue }
      let weight = try compressed(unit, candidate)
      let divergence = try probe.divergence(replacing: [unit.tensor.name: weight])
      // Below the noise of f32 a layer's share is nothing; the error still ranks its candidates.
      units[index].factor = max(divergence, 1e-9) / candidate.error
      progress(units.count + index + 1)
    }
  }

  private var probeBits: Int {
    switch options.target {
    case .bitsPerWeight(let bits), .codeBitsPerWeight(let bits): Int(bits.rounded())
    case .bytes(let bytes): (bytes - otherBytes) * 8 / max(1, weightCount)
    case .divergence: 3
    }
  }

  private func allocate(budget: Int) throws -> Allocation {
    do {
      return try Knapsack.solve(units.map(\.choices), budget: budget)
    } catch let AllocationError.budgetTooSmall(budget, cheapest) {
      throw PipelineError.search(
        reason:
          "a budget of \(budget) bytes, but the tensors take \(cheapest) with the fewest bits; "
          + "raise it, or allow fewer bits or larger groups")
    }
  }

  /// The cheapest allocation whose divergence, measured, stays under a bound.
  private func smallest(under bound: Double) throws -> Result {
    var low = units.reduce(0) { $0 + ($1.candidates.map(\.bytes).min() ?? 0) }
    var high = units.reduce(0) { $0 + ($1.candidates.map(\.bytes).max() ?? 0) }
    var best = try result(budget: high)
    guard best.divergence <= bound else {
      throw PipelineError.search(
        reason: "with the most bits the divergence is \(best.divergence) already, above \(bound)")
    }
    // Half a percent of the size is as fine as a budget is kept.
    while Double(high - low) > 0.005 * Double(high) {
      let middle = low + (high - low) / 2
      let found = try result(budget: middle)
      if found.divergence <= bound { (best, high) = (found, middle) } else { low = middle + 1 }
    }
    return best
  }

  private func result(budget: Int) throws -> Result {
    let allocation = try allocate(budget: budget)
    var replaced: [String: CompressedWeight] = [:]
    var tensors: [Result.Tensor] = []
    for (unit, choice) in zip(units, allocation.choices) {
      let candidate = unit.candidates[choice]
      replaced[unit.tensor.name] = try compressed(unit, candidate)
      tensors.append(
        .init(
          name: unit.tensor.name, way: candidate.way, bytes: candidate.bytes,
          codeBytes: candidate.codeBytes, error: candidate.error,
          loss: unit.choices[choice].loss))
    }
    let bytes = tensors.reduce(0) { $0 + $1.bytes }
    let bits = Double(bytes) * 8 / Double(max(1, weightCount))
    let codeBytes = tensors.reduce(0) { $0 + $1.codeBytes }
    return Result(
      recipe: recipe(tensors, bits: bits), bytes: bytes,
      storedBytes: bytes + otherBytes, bitsPerWeight: bits,
      codeBitsPerWeight: Double(codeBytes) * 8 / Double(max(1, weightCount)),
      predictedLoss: allocation.loss, divergence: try probe.divergence(replacing: replaced),
      divergenceTokens: probe.tokens, tensors: tensors)
  }

  /// The commonest choice as the recipe's stage, the others as overrides, a choice each.
  private func recipe(_ tensors: [Result.Tensor], bits: Double) -> Recipe {
    let groups = Dictionary(grouping: tensors, by: \.way)
    let ways = options.ways.filter { groups[$0] != nil }
    let common =
      ways.max { (groups[$0]?.count ?? 0) < (groups[$1]?.count ?? 0) } ?? options.ways[0]
    let overrides = ways.filter { $0 != common }.map { way in
      Override(
        targets: (groups[way] ?? []).compactMap { try? Selector(Self.glob(of: $0.name)) },
        action: .stages(options.final(way)))
    }
    let rounded = (bits * 1000).rounded() / 1000
    return Recipe(
      name: options.name,
      description: "\(rounded) bits per weight over \(tensors.count) tensors, found by pith search",
      targets: options.targets, ignore: options.ignore, stages: options.final(common),
      overrides: overrides)
  }

  /// A glob that matches only a name.
  private static func glob(of name: String) -> String {
    var text = ""
    for character in name {
      if "*?[]\\".contains(character) { text += "\\" }
      text.append(character)
    }
    return name.hasPrefix("re:") ? "[r]" + text.dropFirst() : text
  }
}
