import JSONText
import Recipes
import Testing

@Suite("Canonical form")
struct CanonicalTests {
  static let brief = """
    version: 1
    name: a
    targets: ["x.*", "b.*"]
    stages: [{quantize: {method: rtn, bits: 4}}]
    """
  static let explicit = """
    # The same, spelled out.
    name: "b"
    version: 1
    description: another name
    seed: 0
    strict_groups: false
    calibration: {length: 512, data: builtin}
    targets:
      - "b.*"
      - 'x.*'
      - "b.*"
    stages:
      - quantize: {group: 128, bits: 4, clip: mse, scales: f16, method: rtn, symmetric: true}
    overrides: []
    """

  @Test func recipesThatMeanTheSameHashTheSame() throws {
    let one = try RecipeParser.parse(text: Self.brief, file: "a.yaml")
    let other = try RecipeParser.parse(text: Self.explicit, file: "b.yaml")
    #expect(one.hash == other.hash)
    #expect(one.hash.count == 64)
  }

  @Test(arguments: [
    "seed: 1", "strict_groups: true", "ignore: [a]", "calibration: {sequences: 1}",
    "overrides: [{targets: [a], skip: true}]",
  ])
  func everyDifferenceOfMeaningChangesTheHash(_ line: String) throws {
    let one = try RecipeParser.parse(text: Self.brief, file: "a.yaml")
    let other = try RecipeParser.parse(text: Self.brief + "\n" + line, file: "a.yaml")
    #expect(one.hash != other.hash)
  }

  @Test func everyDefaultIsWrittenOut() throws {
    let recipe = try RecipeParser.parse(text: Self.brief, file: "a.yaml")
    #expect(
      recipe.canonicalJSON.text() == """
        {"calibration":{"data":"builtin","length":512,"sequences":128,"sequential":"layers",\
        "target":"stream"},"ignore":[],"name":"a","overrides":[],"seed":0,\
        "stages":[{"quantize":{"bits":4,"clip":"mse","group":128,\
        "method":"rtn","scales":"f16","symmetric":true}}],"strict_groups":false,\
        "targets":["b.*","x.*"],"version":1}
        """)
    #expect(recipe.canonicalJSON.text() == recipe.canonicalJSON.text(.canonical))
  }

  /// One recipe that uses everything.
  static func full() throws -> Recipe {
    Recipe(
      name: "true", description: "a: b # \"c\" \\ \u{7F}\u{2028}\u{FEFF}é😀",
      targets: [try Selector("z.*"), try Selector("re:a\\.[0-9]+\"$")],
      ignore: [try Selector("*"), try Selector("[!a]?")], strictGroups: true, seed: .max,
      calibration: Calibration(data: .file("dir/some text.txt"), sequences: 3, length: 5),
      stages: [
        .rotate(RotateOptions(residual: false, heads: false, online: true)),
        .smooth(SmoothOptions(method: .smoothQuant, alpha: 0.25, inputs: .foldable)),
        .transform(TransformOptions(alpha: 1e-5)),
        .transform(TransformOptions(method: .hadamard)),
        .outliers(OutlierOptions(amount: .fraction(0.01), values: .bf16)),
        .outliers(OutlierOptions(amount: .count(3))),
        .prune(PruneOptions(amount: .sparsity(0.1))),
        .prune(PruneOptions(amount: .pattern(n: 4, m: 8))),
        .lowRank(LowRankOptions(of: .weight, amount: .rank(7), factors: .f32)),
        .quantize(
          QuantizeOptions(bits: 3, group: .channel, symmetric: false, clip: .none, scales: .bf16)),
        .quantize(QuantizeOptions(bits: 2, group: .tensor)),
        .lowRank(LowRankOptions(of: .error, amount: .rank(1))),
      ],
      overrides: [
        Override(targets: [try Selector("a b")], action: .skip),
        Override(
          targets: [try Selector("yes")], action: .stages([.quantize(QuantizeOptions(bits: 8))])),
      ])
  }

  @Test func yamlParsesBackToTheSameRecipe() throws {
    let recipe = try Self.full()
    #expect(try RecipeParser.parse(text: recipe.yaml, file: "a.yaml") == recipe)
    let patched = try RecipeParser.parse(text: ResolutionTests.text, file: "a.yaml")
    #expect(try RecipeParser.parse(text: patched.yaml, file: "a.yaml") == patched)
  }

  @Test func canonicalJSONIsARecipeToo() throws {
    var recipe = try Self.full()
    // JSON may hold a bare U+007F, YAML may not.
    recipe.description = nil
    let again = try RecipeParser.parse(text: recipe.canonicalJSON.text(), file: "a.json")
    #expect(again.hash == recipe.hash)
    #expect(again.canonicalJSON == recipe.canonicalJSON)
  }

  @Test func yamlIsReadable() throws {
    let recipe = try RecipeParser.parse(text: ResolutionTests.text, file: "a.yaml")
    #expect(
      recipe.yaml == """
        version: 1
        name: t
        targets: ["layers.*"]
        ignore: ["*.norm"]
        stages:
          - prune: {method: magnitude, sparsity: 0.5}
          - quantize: {method: rtn, bits: 4, group: 128, symmetric: true, clip: mse, scales: f16}
        overrides:
          - targets: ["*.down"]
            set: {prune: {pattern: "2:4"}, quantize: {bits: 8, group: 64}}
          - targets: ["layers.0.*"]
            skip: true
          - targets: [layers.0.down, "layers.1.*"]
            stages:
              - quantize: {method: rtn, bits: 6, group: 128, symmetric: true, clip: mse, scales: f16}
              - low_rank: {method: svd, of: error, rank: 2}
          - targets: [layers.1.down]
            set: {quantize: {symmetric: false}}

        """)
  }
}
