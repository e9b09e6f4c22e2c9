import LinearAlgebra
import Models
import Objectives
import Tensors
import TestSupport
import Testing
import Weights

@testable import ZerothOrder

/// Both sides of a perturbation in one pass.
@Suite struct SideTests {
  /// The sides of one direction over scales and zero points.
  static func sides(
    _ base: any WeightProvider, kinds: Set<ParameterKind> = [.scales, .zeros, .norms],
    epsilon: Float, arithmetic: ProductArithmetic = .f32
  ) throws -> [TunedWeights] {
    let (space, start) = try ParameterSpace.of(
      base, kinds: kinds, form: .absolute, path: "")
    var own = space
    own.setUnits(relative: true, coordinates: start)
    let directions = Directions(kind: .rademacher, seed: 4)
    return [epsilon, -epsilon].map { step in
      TunedWeights(
        base: base, space: own, coordinates: start, directions: directions,
        offset: .init(step: step, time: 3, query: 0, block: nil), arithmetic: arithmetic)
    }
  }

  /// (1) One pass over both sides has the bits of two passes, each side a model by itself, with
  /// any number of workers; (2) the sides differ, scales and zero points.
  @Test func bothSidesAreTwoPasses() throws {
    let base = try Sample.quantized(bits: 3)
    let sides = try Self.sides(base, epsilon: 0.3)
    let zeros = try [0, 1].map { side in
      try base.description.blocks[0].linears.map { linear -> [UInt8] in
        guard case .integer(let integer)? = try sides[side].weight(linear).base else { return [] }
        return integer.zeros?.bytes.array(of: UInt8.self) ?? []
      }
    }
    #expect(zeros[0] != zeros[1])
    // One run of few rows; two runs; runs of uneven sequences, some rows wanted.
    let batches = try [
      Sample.windows(2), Sample.windows(20),
      Sample.windows(24).enumerated().map { Array($1.prefix(5 + $0)) },
    ].map { TokenBatch($0) }
    for (index, batch) in batches.enumerated() {
      let rows = index == 2 ? (0..<batch.rows).filter { $0 % 3 == 0 } : nil
      func variants(_ sides: [TunedWeights]) -> [ModelVariant] {
        sides.map { ModelVariant(weights: $0, batch: batch, rows: rows) }
      }
      let alone = try sides.map { side in
        try LanguageModel(side, residency: .oneBlock).hiddenStates(of: batch)
      }
      #expect(alone[0].values != alone[1].values)
      for workers in [1, 2] {
        let model = try LanguageModel(
          base, residency: .oneBlock, pool: WorkerPool(workers: workers))
        let together = try model.hiddenStates(of: variants(sides))
        for (found, expected) in zip(together, alone) {
          #expect(
            (rows ?? Array(0..<batch.rows)).allSatisfy { row in
              found.values[found.range(ofRow: row)]
                == expected.values[expected.range(ofRow: row)]
            })
        }
        // Beside a second pair, lanes are shared out whole.
        let four = try model.hiddenStates(of: variants(sides + sides.reversed()))
        #expect(four.map(\.values) == [0, 1, 1, 0].map { together[$0].values })
      }
    }
  }

  /// In 16-bit arithmetic (1) one pass has the bits of two, with any number of workers, of scales
  /// alone and of scales and zero points, which then differ between the sides; (2) the
  /// difference of the losses is that of f32 to a hundredth, and not the same number.
  @Test(arguments: [[ParameterKind.scales], [.scales, .zeros]])
  func narrowSides(kinds: [ParameterKind]) throws {
    let base = try Sample.quantized(bits: 3)
    let objective = try LanguageModeling(windows: Sample.windows(8), source: "")
    let examples = Array(0..<8)
    let batch = objective.batch(examples)
    func losses(_ arithmetic: ProductArithmetic) throws -> [Double] {
      let sides = try Self.sides(
        base, kinds: Set(kinds), epsilon: 0.02, arithmetic: arithmetic)
      let alone = try sides.map {
        try LanguageModel($0, residency: .oneBlock).hiddenStates(of: batch)
      }
      var losses: [Double] = []
      for workers in [1, 2] {
        let model = try LanguageModel(
          base, residency: .oneBlock, pool: WorkerPool(workers: workers))
        let together = try model.hiddenStates(
          of: sides.map { ModelVariant(weights: $0, batch: batch) })
        #expect(together.map(\.values) == alone.map(\.values))
        losses = try together.map {
          try objective.loss(model, hidden: $0, batch: batch, examples: examples).mean
        }
      }
      return losses
    }
    let (full, narrow) = (try losses(.f32), try losses(.int16))
    guard RowProduct.isExact else {
      #expect(full == narrow)
      return
    }
    #expect(zip(full, narrow).allSatisfy { $0 != $1 && abs($0 - $1) < 1e-4 })
    let difference = full[0] - full[1]
    #expect(abs(narrow[0] - narrow[1] - difference) < 0.01 * abs(difference))
  }

  /// Sides whose losses are taken together lose what each loses by itself.
  @Test func jointLossesAreSeparateOnes() throws {
    let base = try Sample.quantized(bits: 3)
    let sides = try Self.sides(base, epsilon: 0.05)
    let model = try LanguageModel(base, residency: .oneBlock, pool: WorkerPool(workers: 2))
    let objectives: [any Objective] = [
      try LanguageModeling(windows: Sample.windows(8), source: ""),
      try Sample.inputs().objective,
    ]
    for objective in objectives {
      let parts = try [[0, 1, 2, 3, 4], [5, 2, 7]].enumerated().map { side, examples in
        let batch = objective.batch(examples)
        let hidden = try model.hiddenStates(
          of: [ModelVariant(weights: sides[side], batch: batch)])[0]
        return ObjectiveSide(hidden: hidden, batch: batch, examples: examples)
      }
      let expected = try parts.map {
        try objective.loss(model, hidden: $0.hidden, batch: $0.batch, examples: $0.examples)
      }
      #expect(try objective.losses(model, parts) == expected)
      #expect(abs(expected[0].mean - expected[1].mean) > 1e-4)
      // A side that is not a number leaves the other alone.
      var values = parts[0].hidden
      values.values[3] = .nan
      let broken = ObjectiveSide(
        hidden: values, batch: parts[0].batch, examples: parts[0].examples)
      let found = try objective.losses(model, [broken, parts[1]])
      #expect(found[0].mean.isNaN && found[1] == expected[1])
    }
  }
}
