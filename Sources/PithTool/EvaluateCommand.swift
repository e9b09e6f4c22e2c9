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
      original, both models in one pass, or from what the original was once saved to say. \
      --template scores options on JSONL instead:

        pith evaluate --model small.h5 --data text.txt --reference model/
        pith evaluate --model model/ --data text.txt --save-reference ref.h5
        pith evaluate --model small.h5 --data text.txt --reference ref.h5
        pith evaluate --model model/ --data text.txt --activations int8
        pith evaluate --model small.h5 --data reviews.jsonl --template '{text} It was{ bad| good}'
      """)

  @Option(help: "A model (folder or file) or an artefact.")
  var model: String

  @Option(help: "A text, JSONL, or an HDF5 file with window_ids.")
  var data: String

  @Option(
    help: "Compare, token by token, with this model or with a file that --save-reference wrote.")
  var reference: String?

  @Option(help: "Write what the model says, to compare others with when it is not at hand.")
  var saveReference: String?

  @Option(help: "With --save-reference: likeliest tokens kept of every position. Default: 128.")
  var topK: Int?

  @Flag(help: "With --save-reference: replace an existing file.")
  var force = false

  @OptionGroup var windows: WindowOptions

  @OptionGroup var rounding: RoundingOptions

  @OptionGroup var task: TaskOptions

  @OptionGroup var options: RunOptions

  func run() throws {
    guard saveReference != nil || (topK == nil && !force) else {
      throw UsageError("--top-k and --force need --save-reference")
    }
    if task.prompt.template != nil {
      guard reference == nil, saveReference == nil, windows.length == nil, windows.stride == nil
      else {
        throw UsageError(
          "--template scores options: leave out --reference, --save-reference, --length and "
            + "--stride")
      }
      try runTask()
    } else {
      try task.refuseWithoutTemplate()
      try runWindows()
    }
  }

  private func runWindows() throws {
    if let saveReference {
      guard reference == nil else {
        throw UsageError("--save-reference writes a reference: leave out --reference")
      }
      try OutputCheck.mayWrite(saveReference, force: force, inputs: [model, data])
    }
    let opened = try rounding.apply(to: .open(model, mapped: options.memory == nil))
    let (cut, tokenizer) = try windows.read(data, for: opened)
    let meter = WindowMeter(quiet: options.json, total: cut.windows.count)
    let pool = WorkerPool(workers: options.workerCount)
    let memoryLimit = options.memory?.bytes
    let other = try reference.map { try ReferenceInput($0, mapped: options.memory == nil) }
    let scores: TokenScores
    let seconds: Double
    if let other {
      let found = try other.score(
        [opened], windows: cut.windows, memoryLimit: memoryLimit, pool: pool,
        progress: meter.report)
      (scores, seconds) = (found.scores[0], found.seconds)
    } else {
      let loaded = try opened.load(memoryLimit: memoryLimit, pool: pool)
      let clock = ContinuousClock()
      let start = clock.now
      if let saveReference {
        scores = try SavedReference.write(
          loaded, summary: ModelSummary(opened), windows: cut,
          count: topK ?? min(SavedReference.defaultCount, opened.description.vocabularySize),
          to: saveReference, memoryLimit: memoryLimit, progress: meter.report)
      } else {
        scores = try WindowScoring.run(
          [loaded], windows: cut.windows, memoryLimit: memoryLimit, progress: meter.report)[0]
      }
      seconds = (clock.now - start).seconds
    }
    meter.finish()
    let report = EvaluationReport(
      model: ModelSummary(opened), reference: other?.summary,
      data: DataSummary(cut, tokenizer: tokenizer), scores: scores, seed: windows.seed,
      seconds: seconds)
    print(
      options.json ? report.json.text(.pretty) : EvaluationText.report(report),
      terminator: options.json ? "\n" : "")
    if let saveReference, !options.json { print("reference written: \(saveReference)") }
  }

  private func runTask() throws {
    let opened = try rounding.apply(to: .open(model, mapped: options.memory == nil))
    let pool = WorkerPool(workers: options.workerCount)
    let tokenizer = try opened.tokenizer(override: windows.text.tokenizer)
    let evaluation = try task.evaluation(
      data: data, sequences: windows.sequences, tokenizer: tokenizer,
      beginning: windows.text.bos ? try windows.beginning(tokenizer) : nil, seed: windows.seed)
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
