import Checkpoints
import Foundation
import Recipes
import Tensors
import TestSupport
import Testing
import Weights

@testable import Pipeline

@Suite struct PlannerTests {
  private func source() throws -> MemorySource {
    var source = MemorySource()
    try source.add("model.embed_tokens.weight", [64, 32])
    try source.add("model.layers.0.mlp.weight", [32, 64])
    try source.add("model.layers.0.odd.weight", [32, 48])
    try source.add("model.layers.0.norm.weight", [32])
    try source.add("model.layers.0.table", [4, 32], .i32)
    try source.add("model.empty", [0, 32])
    try source.add("model.scale", [])
    try source.add("lm_head.weight", [64, 32])
    try source.add("tied.weight", [64, 32], tiedTo: "model.embed_tokens.weight")
    return source
  }

  private func reasons(_ recipe: Recipe) throws -> [String: String] {
    let plan = try Sample.plan(recipe, try source())
    return Dictionary(
      plan.tensors.map { planned in
        if case .leave(let reason) = planned.decision { return (planned.tensor.name, "\(reason)") }
        return (planned.tensor.name, planned.storedType)
      }
    ) { first, _ in first }
  }

  @Test func decisionsByDefault() throws {
    let expected = [
      "model.embed_tokens.weight": "embedding, dense unless targeted",
      "model.layers.0.mlp.weight": "int4 g32", "model.layers.0.odd.weight": "int4 g16",
      "model.layers.0.norm.weight": "a vector", "model.layers.0.table": "i32 values",
      "model.empty": "empty", "model.scale": "a scalar",
      "lm_head.weight": "output head, dense unless targeted",
      "tied.weight": "tied to model.embed_tokens.weight",
    ]
    #expect(try reasons(try Sample.recipe()) == expected)
  }

  @Test func targetsIgnoreAndOverrides() throws {
    var found = try reasons(
      try Sample.recipe(
        Sample.w4, "targets: [\"*embed_tokens*\", \"*.mlp.*\"]\nignore: [\"*.mlp.*\"]"))
    #expect(found["model.embed_tokens.weight"] == "int4 g32")
    #expect(found["model.layers.0.mlp.weight"] == "ignored by '*.mlp.*'")
    #expect(found["model.layers.0.odd.weight"] == "not in targets")
    #expect(found["lm_head.weight"] == "output head, dense unless targeted")
    found = try reasons(
      try Sample.recipe(
        Sample.w4,
        """
        overrides:
          - {targets: ["*.mlp.*"], set: {quantize: {bits: 8}}}
          - {targets: ["*.odd.*"], skip: true}
        """))
    #expect(found["model.layers.0.mlp.weight"] == "int8 g32")
    #expect(found["model.layers.0.odd.weight"] == "skipped by an override")
    found = try reasons(
      try Sample.recipe(
        Sample.w4,
        """
        overrides:
          - targets: ["*.mlp.*"]
            stages: [{prune: {method: magnitude, sparsity: 0.5}}]
        """))
    #expect(found["model.layers.0.mlp.weight"] == "sparse 50%")
  }

  @Test func groupsThatDoNotFitFallBackWithANoteOrAreRefused() throws {
    let plan = try Sample.plan(try Sample.recipe(), try source())
    let odd = try #require(plan.tensors.first { $0.tensor.name.contains("odd") })
    guard case .compress(let compression) = odd.decision else {
      Issue.record("not compressed")
      return
    }
    #expect(compression.notes == ["group 16: 32 does not divide 48"])
    let text = Sample.message {
      _ = try Sample.plan(try Sample.recipe(Sample.w4, "strict_groups: true"), try self.source())
    }
    #expect(text.contains("group 32 does not divide the 48 inputs of 'model.layers.0.odd.weight'"))
  }

  @Test(arguments: [
    ("  - low_rank: {method: svd, of: weight, rank: 33}", "rank 33 is more than"),
    ("  - prune: {method: magnitude, pattern: \"3:5\"}", "the pattern 3:5 does not fit"),
    ("  - outliers: {method: columns, count: 64}", "64 outlier columns are asked of"),
  ])
  func whatDoesNotFitIsRefusedWithTheTensor(_ stages: String, _ expected: String) throws {
    let text = Sample.message { _ = try Sample.plan(try Sample.recipe(stages), try self.source()) }
    #expect(text.contains(expected) && text.contains("model.layers.0."), "\(text)")
  }

  @Test func aSelectorWithoutAMatchIsNamedWithASuggestion() throws {
    let text = Sample.message {
      _ = try Sample.plan(
        try Sample.recipe(Sample.w4, "ignore: [\"model.layers.0.mpl.weight\"]"), try self.source())
    }
    #expect(text.contains("t.yaml:5:") && text.contains("model.layers.0.mlp.weight"), "\(text)")
  }

  @Test func aModelWithoutWeightsIsWarnedOf() throws {
    var source = MemorySource()
    try source.add("norm", [32])
    #expect(try Sample.plan(try Sample.recipe(), source).warnings.count == 1)
    #expect(try Sample.plan(try Sample.recipe(), try self.source()).warnings.isEmpty)
  }

  @Test func companionsThatAreNoTextAreWarnedOf() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = try source()
      try Data([0xFF, 0xFE, 0]).write(to: URL(fileURLWithPath: folder + "/tokenizer.model"))
      try Data("{}".utf8).write(to: URL(fileURLWithPath: folder + "/tokenizer.json"))
      for name in ["tokenizer.model", "tokenizer.json"] {
        source.metadata.companions[name] = folder + "/" + name
      }
      let warnings = try Sample.plan(try Sample.recipe(), source).warnings
      #expect(warnings.count == 1 && warnings[0].contains("'tokenizer.model'"))
    }
  }

  @Test func gpt2WeightsAreGroupedAlongTheirInputs() throws {
    let source = try CheckpointOpener.open(SharedFiles.fixture("forward/gpt2"))
    let plan = try Sample.plan(try Sample.recipe(), source)
    let compressions = plan.tensors.compactMap { planned -> TensorDecision.Compression? in
      if case .compress(let compression) = planned.decision { compression } else { nil }
    }
    #expect(!compressions.isEmpty)
    #expect(compressions.allSatisfy { $0.view.layout == .outputsLast })
  }

  @Test func aMemoryCapThatATensorCannotKeepIsRefused() throws {
    var source = MemorySource()
    try source.add("small.weight", [32, 32])
    try source.add("large.weight", [1024, 1024])
    let svd = try Sample.recipe("  - low_rank: {method: svd, of: weight, rank: 4}")
    let text = Sample.message { _ = try Sample.plan(svd, source, memory: 72 << 20) }
    #expect(text.contains("'large.weight'") && text.contains("72 MiB"), "\(text)")
    #expect(try Sample.plan(svd, source, memory: 128 << 20).forecast.peakBytes <= 128 << 20)
    // Round to nearest goes through in pieces: the same cap is enough.
    #expect(throws: Never.self) { try Sample.plan(Sample.recipe(), source, memory: 72 << 20) }
  }
}
