import Recipes
import Testing

@Suite("Targets and overrides")
struct ResolutionTests {
  static let text = """
    version: 1
    name: t
    targets: ["layers.*"]
    ignore: ["*.norm"]
    stages:
      - prune: {method: magnitude, sparsity: 0.5}
      - quantize: {method: rtn, bits: 4}
    overrides:
      - targets: ["*.down"]
        set: {quantize: {bits: 8, group: 64}, prune: {pattern: "2:4"}}
      - targets: ["layers.0.*"]
        skip: true
      - targets: ["layers.0.down", "layers.1.*"]
        stages:
          - quantize: {method: rtn, bits: 6}
          - low_rank: {method: svd, of: error, rank: 2}
      - targets: ["layers.1.down"]
        set: {quantize: {symmetric: false}}
    """

  @Test func overridesApplyInOrder() throws {
    let recipe = try RecipeParser.parse(text: Self.text, file: "r.yaml")
    let plain: [Stage] = [
      .prune(PruneOptions(amount: .sparsity(0.5))), .quantize(QuantizeOptions(bits: 4)),
    ]
    let replaced: [Stage] = [
      .quantize(QuantizeOptions(bits: 6)), .lowRank(LowRankOptions(of: .error, amount: .rank(2))),
    ]
    #expect(recipe.stages(for: "layers.2.up") == plain)
    #expect(
      recipe.stages(for: "layers.2.down") == [
        .prune(PruneOptions(amount: .pattern(n: 2, m: 4))),
        .quantize(QuantizeOptions(bits: 8, group: .inputs(64))),
      ])
    #expect(recipe.stages(for: "layers.0.up").isEmpty)
    #expect(recipe.stages(for: "layers.0.down") == replaced)
    #expect(recipe.stages(for: "layers.1.up") == replaced)
    #expect(
      recipe.stages(for: "layers.1.down") == [
        .quantize(QuantizeOptions(bits: 6, symmetric: false)),
        .lowRank(LowRankOptions(of: .error, amount: .rank(2))),
      ])
    #expect(recipe.overrides(for: "layers.1.down").count == 3)
  }

  @Test func selectionSaysWhy() throws {
    let recipe = try RecipeParser.parse(text: Self.text, file: "r.yaml")
    #expect(recipe.selection(of: "layers.0.up") == .targeted(by: try Selector("layers.*")))
    #expect(recipe.selection(of: "layers.0.norm") == .ignored(by: try Selector("*.norm")))
    #expect(recipe.selection(of: "head") == .notTargeted)
    var untargeted = recipe
    untargeted.targets = nil
    #expect(untargeted.selection(of: "head") == .byDefault)
    #expect(untargeted.selection(of: "a.norm") == .ignored(by: try Selector("*.norm")))
  }

  @Test func positionsAreKept() throws {
    let recipe = try RecipeParser.parse(text: Self.text, file: "r.yaml")
    #expect(recipe.stages.map(\.position.line) == [6, 7])
    #expect(recipe.stages.map(\.position.column) == [5, 5])
    #expect(recipe.ignore.map(\.position) == [SourcePosition(line: 4, column: 10)])
    // A patched stage still says where it came from.
    #expect(recipe.stages(for: "layers.2.down").map(\.position.line) == [6, 7])
  }

  @Test func patchesOfOtherStagesChangeNothing() throws {
    let recipe = try RecipeParser.parse(text: Self.text, file: "r.yaml")
    guard case .set(let patches)? = recipe.overrides.first?.action else {
      Issue.record("the first override sets options")
      return
    }
    let stage = Stage.transform(TransformOptions())
    #expect(patches.count == 2 && patches.allSatisfy { stage.applying($0) == stage })
  }
}
