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

  @Option(help: "A text: also measure what the model still says (perplexity, divergence).")
  var data: String?

  @OptionGroup var windows: WindowOptions

  @Option(help: "Statistics from 'pith calibrate': also measure each layer's outputs.")
  var statistics: String?

  @Option(help: "A YAML file with bounds (docs/validation.md).")
  var bounds: String?

  @Option(name: .customLong("json"), help: "Write the figures as JSON to this file ('-': print).")
  var jsonPath: String?

  @Option(help: "Also write the result as a page with pictures.")
  var html: String?

  @Flag(help: "Show every tensor.")
  var all = false

  @OptionGroup var threads: WorkerOptions

  func run() throws {
    let bounds = try bounds.map { try ValidationBounds.load($0) }
    let file = try ArtefactFile(path: artefact)
    let source = try CheckpointOpener.open(against)
    let quiet = jsonPath == "-"
    let printer = ProgressPrinter(quiet: quiet, showsTensors: false)
    var record = try ArtefactComparison.run(
      file, against: source, toolVersion: toolVersion,
      workers: threads.workerCount,
      statistics: try statistics.map { try StatisticsFile.read($0) }, report: printer.report)
    printer.finish()
    if let data { record.modelFigures = try modelFigures(on: data, quiet: quiet) }
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
    if let bounds, data == nil, bounds.total.needsModelFigures {
      throw UsageError("the bounds ask what the model still says: pass a text with --data")
    }
    if !missed.isEmpty {
      for miss in missed { StandardError.write("bound missed: \(miss)") }
      throw ExitStatus.boundMissed
    }
  }

  /// Runs the artefact and the model over the text, both in one pass.
  private func modelFigures(on path: String, quiet: Bool) throws -> ModelFigures {
    let compressed = try OpenedModel.open(artefact, mapped: true)
    let original = try OpenedModel.open(against, mapped: true)
    let (cut, _) = try windows.read(path, for: compressed)
    let pool = WorkerPool(workers: threads.workerCount)
    let meter = WindowMeter(quiet: quiet, total: cut.windows.count)
    // Where keys and values are rounded, what that costs is told by the same weights without.
    let variants = [compressed] + [compressed.withExactKeyValues].compactMap { $0 }
    let scores = try WindowScoring.run(
      try variants.map { try $0.load(memoryLimit: nil, pool: pool) },
      reference: try original.load(memoryLimit: nil, pool: pool), windows: cut.windows,
      memoryLimit: nil, progress: meter.report)
    meter.finish()
    let divergences = scores.map {
      Divergence($0, bootstrap: Bootstrap(windows: cut.windows.count, seed: windows.seed))
    }
    let divergence = divergences[0]
    return ModelFigures(
      data: path, perplexity: Perplexity(scores[0]).estimate.value,
      referencePerplexity: divergence.reference.estimate.value,
      perplexityRatio: divergence.perplexityRatio.value,
      perplexityRatioError: divergence.perplexityRatio.standardError,
      divergence: divergence.mean.value, agreement: divergence.agreement.value,
      withExactCache: divergences.dropFirst().first.map {
        .init(perplexityRatio: $0.perplexityRatio.value, divergence: $0.mean.value)
      })
  }
}
