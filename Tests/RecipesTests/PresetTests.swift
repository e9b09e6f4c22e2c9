import Foundation
import Recipes
import TestSupport
import Testing

@Suite("Presets")
struct PresetTests {
  @Test(arguments: Preset.all)
  func presetEqualsItsFile(_ preset: Preset) throws {
    let file = try String(
      contentsOfFile: SharedFiles.repository + "/" + preset.file, encoding: .utf8)
    #expect(preset.text == file)
    let recipe = try preset.recipe()
    #expect(recipe.warnings.isEmpty)
    #expect("recipes/\(recipe.name).yaml" == preset.file)
    #expect(recipe.description != nil)
    #expect(try RecipeParser.parse(text: recipe.yaml, file: "y") == recipe)
  }

  @Test func everyRecipeFileParses() throws {
    let folder = SharedFiles.repository + "/recipes"
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(files.count >= Preset.all.count)
    for file in files where file.hasSuffix(".yaml") {
      let recipe = try RecipeParser.parse(file: folder + "/" + file)
      #expect(recipe.warnings.isEmpty && recipe.name + ".yaml" == file)
    }
  }

  @Test func presetsMeanDifferentThings() throws {
    #expect(Set(Preset.all.map(\.name)).count == Preset.all.count)
    #expect(try Set(Preset.all.map { try $0.recipe().hash }).count == Preset.all.count)
  }

  @Test func unknownPresetsAreListed() throws {
    #expect(try Preset.named("w4").recipe().name == "w4-rtn")
    do {
      _ = try Preset.named("w4-svdd")
      Issue.record("accepted")
    } catch {
      #expect(
        error.description == """
          --preset: error: no preset is called 'w4-svdd'; did you mean 'w4-svd'? (presets: w8, w4, \
          w4-g32, w3, w2, w4-gptq, w3-learned, w4-svd, svd-w4, sparse50, sparse24, w4-sparse50, \
          outliers-w4, w4-scaled)
          """)
    }
  }
}
