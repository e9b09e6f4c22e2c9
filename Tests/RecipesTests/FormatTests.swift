import Recipes
import Testing

@Suite("Recipes: number formats")
struct FormatTests {
  private func options(_ text: String) throws -> QuantizeOptions {
    let recipe = try RecipeParser.parse(
      text: "version: 1\nname: t\nstages:\n  - quantize: {method: rtn, \(text)}\n", file: "r.yaml")
    guard case .quantize(let options)? = recipe.stages.first else {
      throw RecipeErrors([])
    }
    // The canonical form means the same.
    let again = try RecipeParser.parse(text: recipe.canonicalJSON.text(), file: "c.json")
    #expect(again.stages == recipe.stages, "\(text)")
    return options
  }

  @Test func formatsBringTheirGroupsAndScales() throws {
    #expect(try options("format: nf4").group == .inputs(64))
    #expect(try options("format: nf4, group: 128").group == .inputs(128))
    #expect(try options("group: 128, format: nf4").group == .inputs(128))
    let block = try options("format: nvfp4")
    #expect(block.group == .inputs(16) && block.scales == .e4m3)
    let eight = try options("format: e4m3, clip: none")
    #expect(eight.group == .channel && eight.scales == .f32)
    #expect(try options("format: mxfp4, clip: none, rule: round_up").rule == .roundUp)
    #expect(try options("format: ternary, group: 64, refit: true").refit == true)
    for format in QuantizeOptions.Format.allCases {
      let found = try options("format: \(format.rawValue)")
      #expect(found.format == format && found.group == format.group)
      #expect(found.contradiction == nil)
    }
    let integers = try options("bits: 4")
    #expect(integers.format == nil && integers.group == .inputs(128) && integers.scales == .f16)
  }

  @Test(arguments: [
    ("bits: 4, format: nf4", "conflicts with 'bits'"),
    ("group: 64", "needs 'bits' or 'format'"),
    ("format: nf5", "did you mean 'nf4'"),
    ("bits: 4, scales: e8m0", "need a 'format'"),
    ("bits: 4, packing: split", "need"),
    ("format: mxfp4, group: 64", "its own groups"),
    ("format: nvfp4, scales: f16", "its own scales"),
    ("format: nf4, symmetric: false", "zero points"),
    ("format: nf4, clip: none, rule: floor", "e8m0"),
    ("format: mxfp4, rule: floor", "clip: none"),
    ("format: nf4, packing: split", "6-bit"),
    ("format: nf4, packing: trits", "ternary"),
    ("format: nf4, exponent: 0.5", "power"),
    ("format: mxfp4, refit: true", "scales of their own"),
    ("format: q4_0, refit: true", "scales of their own"),
    ("format: nf4, scales: ratio, refit: true", "one by one"),
    ("format: nf4, group: tensor, scales: ratio", "several scales"),
    ("format: bcq3, scales: e8m0", "'f16', 'bf16' and 'f32'"),
    ("format: bcq3, clip: none", "in its own way"),
    ("format: bcq3, group: tensor", "'channel'"),
  ])
  func contradictionsAreErrorsAtTheStage(_ text: String, _ part: String) {
    #expect {
      _ = try options(text)
    } throws: { error in
      let found = "\(error)"
      return found.contains(part) && found.contains("r.yaml:4:")
    }
  }

  @Test func overridesChangeTheFormat() throws {
    let recipe = try RecipeParser.parse(
      text: """
        version: 1
        name: t
        stages:
          - quantize: {method: rtn, bits: 4}
        overrides:
          - targets: ["a"]
            set: {quantize: {format: mxfp4}}
        """, file: "r.yaml")
    guard case .set(let patches) = recipe.overrides[0].action, let patch = patches.first else {
      Issue.record("no patch")
      return
    }
    guard case .quantize(let options) = recipe.stages[0].applying(patch) else { return }
    #expect(options.format == .mxfp4 && options.group == .inputs(32) && options.scales == .e8m0)
    #expect(options.contradiction == nil)
  }
}
