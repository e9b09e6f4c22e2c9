import ArgumentParser
import Pith

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare artefacts with one another on the same text.",
    discussion: """
      Every model is scored on the same windows beside the reference, in one pass. Differences to \
      the first model are paired, with 95 % intervals from a bootstrap over windows; bytes and \
      bits stand beside them.

        pith compare a.h5 b.h5 --reference model/ --data text.txt --csv out.csv
        pith compare a.h5 b.h5 --reference ref.h5 --data text.txt
        pith compare a.h5 b.h5 --reference model/ --data text.txt --activations int8
      """)

  @Argument(
    help: "Artefacts or models, two or more; the first is what the others are compared with.")
  var models: [String]

  @Option(
    help: "The model that they were made from, or what `evaluate --save-reference` wrote of it.")
  var reference: String

  @Option(help: "A text, JSONL, or an HDF5 file with window_ids.")
  var data: String

  @OptionGroup var windows: WindowOptions

  @OptionGroup var rounding: RoundingOptions

  @Option(help: "Also write the figures as CSV.")
  var csv: String?

  @OptionGroup var options: RunOptions

  func validate() throws {
    guard models.count > 1 else { throw ValidationError("Name two models or more to compare.") }
  }

  func run() throws {
    let mapped = options.memory == nil
    // The reference runs as it is.
    let opened = try models.map { try rounding.apply(to: OpenedModel.open($0, mapped: mapped)) }
    let other = try ReferenceInput(reference, mapped: mapped)
    let (cut, tokenizer) = try windows.read(data, for: other.model ?? opened[0])
    let meter = WindowMeter(
      quiet: options.json, total: cut.windows.count * other.passes(models: opened.count))
    let (scores, _) = try other.score(
      opened, windows: cut.windows, memoryLimit: options.memory?.bytes,
      pool: WorkerPool(workers: options.workerCount), progress: meter.report)
    meter.finish()
    let comparison = try PairedComparison(
      models: opened.map { ModelSummary($0) }, reference: other.summary,
      data: DataSummary(cut, tokenizer: tokenizer), scores: scores, seed: windows.seed)
    if let csv { try FileOutput.write(comparison.csv, to: csv) }
    print(
      options.json
        ? comparison.json.text(.pretty)
        : EvaluationText.comparison(comparison, width: Terminal.width),
      terminator: options.json ? "\n" : "")
  }
}
