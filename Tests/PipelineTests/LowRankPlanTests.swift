import Checkpoints
import Recipes
import Tensors
import TestSupport
import Testing
import Weights

@testable import Pipeline

@Suite struct LowRankPlanTests {
  /// A weight of rank 4, one of a flat spectrum, and one that 4-bit codes hold exactly.
  private func source() throws -> MemorySource {
    var source = MemorySource()
    var random = PortableRandom(4)
    for (name, spectrum) in [
      ("steep.weight", [2, 2, 2, 2] + [Double](repeating: 1e-3, count: 44)),
      ("flat.weight", [Double](repeating: 1, count: 48)),
    ] as [(String, [Double])] {
      let matrix = try random.matrix(64, 48, spectrum: spectrum)
      source.add(
        name, Tensor(dtype: .f32, shape: [64, 48], array: matrix.values.map { Float($0) }))
    }
    source.add(
      "even.weight",
      Tensor(
        dtype: .f32, shape: [64, 48],
        array: (0..<64 * 48).map { (index: Int) -> Float in Float(index % 16) - 8 }))
    return source
  }

  private func ranks(_ stages: String) throws -> [String: Int] {
    let plan = try Sample.plan(try Sample.recipe(stages), try source())
    var result: [String: Int] = [:]
    for planned in plan.tensors {
      guard case .compress(let compression) = planned.decision else { continue }
      result[planned.tensor.name] = 0
      for case .lowRank(let choice) in compression.stages {
        if case .fixed(let rank) = choice.rank { result[planned.tensor.name] = rank }
        #expect(!choice.isAllocated)
      }
    }
    return result
  }

  @Test func everyMethodOfARecipeIsTheMethodOfThatName() throws {
    let view = WeightView(rows: 32, columns: 48)
    let recipe = try Sample.recipe()
    for method in LowRankOptions.Method.allCases {
      let choice = try StageResolver.lowRank(
        LowRankOptions(method: method, amount: .rank(4)), view, "t", recipe)
      #expect(choice.method.rawValue == method.rawValue)
      #expect((choice.role == .repair) == (method.subject == .error), "\(method)")
      // What cannot be handed out by singular values is refused, and nothing else.
      let handed = LowRankOptions(method: method, amount: .rank(4), allocation: .adaptive)
      #expect(handed.foreignOptions.isEmpty == choice.method.hasCurve, "\(method)")
    }
    for factors in LowRankOptions.Factors.allCases {
      let choice = try StageResolver.lowRank(
        LowRankOptions(method: .lorc, amount: .rank(4), factors: factors), view, "t", recipe)
      #expect("\(choice.factors)" == factors.rawValue)
    }
  }

  @Test func adaptiveRanksGoWhereTheyHelp() throws {
    let uniform = try ranks("  - low_rank: {method: pissa, rank: 8}")
    #expect(uniform == ["steep.weight": 8, "flat.weight": 8, "even.weight": 8])
    let found = try ranks("  - low_rank: {method: pissa, rank: 8, allocation: adaptive}")
    // Rank 4 and rank 2 leave nothing of two of them; the third gets what they do not need, and no
    // more numbers are spent than before.
    #expect(found["steep.weight"] == 4)
    #expect((found["even.weight"] ?? 0) <= 2)
    #expect((found["flat.weight"] ?? 0) >= 17)
    #expect(found.values.reduce(0, +) <= 24)
    // By a ratio of numbers the same.
    let ratio = try ranks("  - low_rank: {method: pissa, ratio: 0.3, allocation: adaptive}")
    #expect(ratio["steep.weight"] == 4)
  }

  @Test func aRepairOfNothingGetsNoRank() throws {
    let found = try ranks(
      """
        - quantize: {method: rtn, bits: 4, group: 16, symmetric: false, clip: none}
        - low_rank: {method: lorc, rank: 4, allocation: adaptive}
      """)
    #expect(found["even.weight"] == 0)
    #expect(found.values.reduce(0, +) <= 12 && (found["flat.weight"] ?? 0) >= 4)
  }

  @Test func whatCannotBeHandedOutIsSaid() throws {
    for stages in [
      "  - low_rank: {method: pissa, energy: 0.9, allocation: adaptive}",
      "  - low_rank: {method: milora, rank: 4, allocation: adaptive}",
    ] {
      let message = Sample.message {
        _ = try Sample.plan(Sample.recipe(stages), try source())
      }
      #expect(message.contains("allocation: adaptive"), "\(message)")
    }
    let needing = Sample.message {
      _ = try Sample.plan(
        Sample.recipe("  - low_rank: {method: eora, rank: 4, allocation: adaptive}"), try source())
    }
    #expect(needing.contains("steep.weight"), "\(needing)")
  }

  @Test func aLayerCountsByWhatItWritesBesideItsNeighbours() {
    // Out of order as a checkpoint lists them; one layer writes far more than those around it, and
    // later ones more than earlier ones, which is no reason.
    let places = [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
    let energies = (0..<12).map { $0 == 5 ? 640.0 : Double($0 + 1) }
    let names = places.map { "model.layers.\($0).down.weight" } + ["head.weight", "zero.weight"]
    let found = LayerImportance.of(names: names, energies: places.map { energies[$0] } + [3, 0])
    for (index, place) in places.enumerated() where place != 5 {
      #expect((0.2...1.9).contains(found[index]), "layer \(place): \(found[index])")
    }
    // Its neighbours write 3, 4, 5, 7, 8 and 9.
    #expect(places.firstIndex(of: 5).map { found[$0] } == 640.0 / 7)
    #expect(found.suffix(2) == [1, 1])
    #expect(LayerImportance.split("h.10.mlp2.w").kind == "h.#.mlp#.w.")
    #expect(LayerImportance.split("h.10.mlp2.w").numbers == [10, 2])
  }

  @Test func methodsThatTrainAreRefusedWithASentence() throws {
    for method in [
      "lrec", "apiq", "svfit", "maestro", "dsformer", "lora_ga", "lift", "s2ft", "masa",
    ] {
      let message = Sample.message {
        _ = try Sample.recipe("  - low_rank: {method: \(method), rank: 4}")
      }
      #expect(
        message.contains("back-propagation") && message.contains("'\(method)'"), "\(message)")
    }
  }
}
