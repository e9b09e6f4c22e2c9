import ArgumentParser
import Foundation
import Pith

struct CompressCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compress", abstract: "Run a recipe over a model and write one artefact.",
    discussion: """
      Prints a line a tensor. What is finished survives Ctrl-C, a kill or a power cut: the same \
      command with --resume goes on and ends in the same bytes. Beside the artefact stands \
      OUTPUT.run.json, the record of the run.
      """)

  @OptionGroup var recipe: RecipeOptions

  @OptionGroup var modelOptions: ModelOptions

  @OptionGroup var statistics: StatisticsOptions

  @Option(name: [.short, .long], help: "The artefact to write.")
  var output: String

  @Flag(help: "Replace an existing output, or start an unfinished run over.")
  var force = false

  @Flag(help: "Go on with an unfinished run.")
  var resume = false

  @Option(help: "Also write the result as a page with pictures.")
  var html: String?

  @Flag(inversion: .prefixedNo, help: "Hash source tensors and stored datasets (SHA-256).")
  var hash = true

  @Flag(inversion: .prefixedNo, help: "Flush to the disk before anything counts as written.")
  var fsync = true

  @OptionGroup var options: RunOptions

  func run() throws {
    let recipe = try recipe.load()
    let source = try modelOptions.open()
    let tuning = try TuningStage(
      recipe, model: modelOptions.model, output: output, force: force, resume: resume,
      workers: options.workerCount, memoryLimit: options.memory?.bytes)
    if let tuning, resume, tuning.hasBase {
      InterruptHandler.install()
      return try tune(tuning)
    }
    let plan = try Planner.plan(
      recipe, for: source, options: options.planOptions(hashing: hash, durable: fsync),
      calibration: statistics.load())
    let printer = ProgressPrinter(quiet: options.json)
    if self.recipe.preset != nil, !options.json { print(recipe.yaml) }
    for warning in plan.warnings { StandardError.write("warning: \(warning)") }
    InterruptHandler.install()
    let record: RunRecord
    do {
      record = try CompressionRun.run(
        plan, target: .init(output: tuning?.base ?? output, force: force, resume: resume),
        identity: .current(version: toolVersion),
        interruption: InterruptHandler.interruption, report: printer.report)
    } catch {
      printer.finish()
      throw error
    }
    printer.finish()
    if let tuning { try tune(tuning) }
    try FileOutput.write(record.json.text(.pretty) + "\n", to: output + ".run.json")
    if let html { try FileOutput.write(HTMLReport.page(record), to: html) }
    print(options.json ? record.json.text(.pretty) : TerminalReport.summary(record))
  }

  private func tune(_ stage: TuningStage) throws {
    let printer = TuningPrinter(quiet: options.json)
    let outcome = try TuningRun.run(
      stage.request, identity: .current(version: toolVersion),
      interruption: InterruptHandler.interruption, report: printer.report)
    printer.finish()
    for warning in outcome.warnings { StandardError.write("warning: \(warning)") }
    if !options.json { print(TuningText.summary(outcome), terminator: "") }
  }
}
