import ArgumentParser
import Pith

struct RecipeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recipe", abstract: "Check recipes, print the schema and the presets.",
    subcommands: [Check.self, Schema.self, Show.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a recipe; with a model, its selectors too.")

    @Argument(help: "The recipe, a YAML file.")
    var recipe: String

    @Option(help: "A model: every selector must match one of its tensors.")
    var model: String?

    func run() throws {
      let parsed = try RecipeFile.load(recipe)
      for warning in parsed.warnings { StandardError.write("\(warning)") }
      if let model {
        let source = try CheckpointOpener.open(model)
        _ = try Planner.plan(parsed, for: source, options: PlanOptions(workers: 1))
      }
      print("\(recipe): good; recipe '\(parsed.name)', hash \(parsed.hash.prefix(16))")
    }
  }

  struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the JSON Schema of recipes, for editors.")

    func run() { print(RecipeSchema.json.text(.pretty)) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the recipe that a preset stands for; without a name, list the presets.")

    @Argument(help: "The preset's name.")
    var preset: String?

    func run() throws {
      guard let preset else {
        for preset in Preset.all {
          let recipe = try preset.recipe()
          print("\(preset.name)\t\(recipe.description ?? recipe.name)")
        }
        return
      }
      print(try Preset.named(preset).text, terminator: "")
    }
  }
}
