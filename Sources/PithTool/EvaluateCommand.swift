import ArgumentParser
import Foundation
import JSONText
import Pith

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure what a model, dense or compressed, still says.",
    discussion: """
      Perplexity by default: consecutive windows over the whole text, no overlap, no special \
      tokens, the first token of a window unscored. --reference adds the divergence from the \
      original, both models in one pass. --template scores options on JSONL instead:

        pith evaluate --model small.h5 --data text.txt --reference model/
        pith evaluate --model small.h5 --data reviews.jsonl --template '{text} It was{ bad| good}'
      """)

  @Option(help: "A model (folder or file) or an artefact.")
  var model: String

  @Option(help: "A text, JSONL, or an HDF5 file with window_ids.")
  var data: String

  @Option(help: "Compare with this model, token by token.")
  var reference: String?

  @OptionGroup var windows: WindowOptions

  @OptionGroup var task: TaskOptions

  @OptionGroup var options: RunOptions

  func run() throws {
    if task.template != nil {
      guard reference == nil, windows.length == nil, windows.stride == nil else {
        throw UsageError("--template scores options: leave out --reference, --length and --stride")
      }
      try runTask()
    } else {
      try task.refuseWithoutTemplate()
      try runWindows()
    }
  }

  private func runWindows() throws {
    let opened = try OpenedModel.open(model, mapped: options.memory == nil)
    let other = try reference.map { try OpenedModel.open($0, mapped: options.memory == nil) }
    let (cut, tokenizer) = try windows.read(data, for: opened)
    let pool = WorkerPool(workers: options.workerCount)
    let budget = options.memory.map { other == nil ? $0.bytes : $0.bytes / 2 }
    let loaded = try opened.load(memoryLimit: budget, pool: pool)
    let loadedReference = try other?.load(memoryLimit: budget, pool: pool)
    let clock = ContinuousClock()
    let start = clock.now
    let meter = WindowMeter(quiet: options.json, total: cut.windows.count)
    let scores = try WindowScoring.run(
      [loaded], reference: loadedReference, windows: cut.windows,
      memoryLimit: options.memory?.bytes, progress: meter.report)
    meter.finish()
    let report = EvaluationReport(
      model: ModelSummary(opened), reference: other.map { ModelSummary($0) },
      data: DataSummary(cut, tokenizer: tokenizer), scores: scores[0], seed: windows.seed,
      seconds: (clock.now - start).seconds)
    print(
      options.json ? report.json.text(.pretty) : EvaluationText.report(report),
      terminator: options.json ? "\n" : "")
  }

  private func runTask() throws {
    let opened = try OpenedModel.open(model, mapped: options.memory == nil)
    let pool = WorkerPool(workers: options.workerCount)
    let tokenizer = try opened.tokenizer(override: windows.tokenizer)
    let evaluation = try task.evaluation(
      data: data, sequences: windows.sequences, tokenizer: tokenizer,
      beginning: windows.bos ? try windows.beginning(tokenizer) : nil, seed: windows.seed)
    let loaded = try opened.load(memoryLimit: options.memory?.bytes, pool: pool)
    let meter = WindowMeter(quiet: options.json, total: evaluation.items.count)
    let result = try evaluation.run(loaded, progress: meter.report)
    meter.finish()
    if options.json {
      var object = JSONObject()
      object["model"] = ModelSummary(opened).json
      object["result"] = result.json
      print(JSONValue.object(object).text(.pretty))
    } else {
      print(EvaluationText.task(result, model: ModelSummary(opened)), terminator: "")
    }
  }
}

extension Duration {
  /// The length in seconds.
  var seconds: Double {
    let parts = components
    return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
  }
}
