import ArgumentParser
import Pith

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Say what a recipe would do to a model, and touch nothing.")

  @OptionGroup var recipe: RecipeOptions

  @OptionGroup var modelOptions: ModelOptions

  @OptionGroup var calibration: CalibrationOptions

  @OptionGroup var options: RunOptions

  func run() throws {
    let recipe = calibration.applied(to: try recipe.load())
    let source = try modelOptions.open()
    let plan = try Planner.plan(
      recipe, for: source, options: options.planOptions(tokenizer: calibration.tokenizer),
      calibration: calibration.load())
    let record = plan.record(toolVersion: toolVersion)
    if options.json {
      print(record.json.text(.pretty))
    } else {
      print(PlanReport.text(record, width: Terminal.width), terminator: "")
    }
  }
}
