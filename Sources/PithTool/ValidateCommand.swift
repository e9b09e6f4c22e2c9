import ArgumentParser
import Pith

struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Measure an artefact against the model that it was made from.",
    discussion: """
      Prints, for every compressed tensor and in total, the relative Frobenius error, the \
      signal-to-noise ratio, the largest absolute error, the cosine and the bits per weight. With \
      --bounds, a figure outside its bound makes the exit code 1.
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @Option(help: "The model that it was made from.")
  var against: String

  @Option(help: "A YAML file with bounds (docs/validation.md).")
  var bounds: String?

  @Option(name: .customLong("json"), help: "Write the figures as JSON to this file ('-': print).")
  var jsonPath: String?

  @Option(help: "Also write the result as a page with pictures.")
  var html: String?

  @Flag(help: "Show every tensor.")
  var all = false

  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func run() throws {
    let bounds = try bounds.map { try ValidationBounds.load($0) }
    let file = try ArtefactFile(path: artefact)
    let source = try CheckpointOpener.open(against)
    let quiet = jsonPath == "-"
    let printer = ProgressPrinter(quiet: quiet, showsTensors: false)
    let record = try ArtefactComparison.run(
      file, against: source, toolVersion: toolVersion,
      workers: max(1, workers ?? RunOptions.defaultWorkers), report: printer.report)
    printer.finish()
    let missed = bounds?.missed(by: record) ?? []
    if let jsonPath {
      let text = record.json(missedBounds: missed).text(.pretty)
      if quiet { print(text) } else { try FileOutput.write(text + "\n", to: jsonPath) }
    }
    if let html { try FileOutput.write(HTMLReport.page(record), to: html) }
    if !quiet {
      print(
        TerminalReport.errors(record, width: Terminal.width, limit: all ? nil : 20),
        terminator: "")
      print(TerminalReport.validationSummary(record), terminator: "")
    }
    if !missed.isEmpty {
      for miss in missed { StandardError.write("bound missed: \(miss)") }
      throw ExitStatus.boundMissed
    }
  }
}
