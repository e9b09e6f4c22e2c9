import ArgumentParser
import Foundation
import Pith

/// How a text becomes windows.
struct WindowOptions: ParsableArguments {
  @Option(help: "Tokens of a window. Default: 512, or the model's positions if fewer.")
  var length: Int?

  @Option(help: "The most windows (with --template: records). Default: 256 (all).")
  var sequences: Int?

  @Option(help: "Tokens from one window's start to the next; less than --length overlaps.")
  var stride: Int?

  @OptionGroup var text: TextOptions

  @Option(help: "The seed of bootstrap and choices of examples.")
  var seed: UInt64 = 0

  /// The windows of a file, and the tokenizer's name.
  func read(_ path: String, for model: OpenedModel) throws -> (EvaluationWindows, String?) {
    var used: Tokenizer?
    func load() throws -> Tokenizer {
      let loaded = try used ?? model.tokenizer(override: text.tokenizer)
      used = loaded
      return loaded
    }
    let data = try EvaluationData.read(
      path, field: text.field, vocabularySize: model.description.vocabularySize, tokenizer: load)
    let cut = try data.scoringWindows(
      .init(length: length, sequences: sequences, stride: stride, withBeginning: text.bos),
      for: model.description, beginning: { try beginning(load()) })
    return (cut, used?.path)
  }

  /// The tokenizer's beginning token.
  func beginning(_ tokenizer: Tokenizer) throws -> Int32 {
    guard let token = tokenizer.beginning else {
      throw EvaluationError.noBeginning(path: tokenizer.path)
    }
    return token
  }
}

/// What is rounded while a model runs, whatever it says itself.
struct RoundingOptions: ParsableArguments {
  @Option(
    help: """
      Round the inputs of all blocks' linear layers: int8 … int2, fp8, fp4, mxfp8, mxfp4, nvfp4; \
      '/asym' or '/g32' behind it.
      """)
  var activations: String?

  @Option(help: "Round keys and values of older tokens: int4, int2/v4/g64/r128, int4/token.")
  var kv: String?

  func apply(to model: OpenedModel) throws -> OpenedModel {
    let schemes: (ActivationScheme?, KeyValueScheme?)
    do {
      schemes = (
        try activations.map { try ActivationScheme(named: $0) },
        try kv.map { try KeyValueScheme(named: $0) }
      )
    } catch { throw UsageError("\(error)") }
    return try model.rounding(activations: schemes.0, keyValue: schemes.1)
  }
}

/// How records become options to score.
struct TaskOptions: ParsableArguments {
  @OptionGroup var prompt: PromptOptions

  @Option(help: "With --template: worked examples before every prompt.")
  var shots = 0

  @Option(help: "With --shots: the JSONL file that the examples are drawn from.")
  var examples: String?

  func refuseWithoutTemplate() throws {
    guard prompt.maxTextTokens == nil, shots == 0, examples == nil else {
      throw UsageError("--max-text-tokens, --shots and --examples need --template")
    }
  }

  func evaluation(
    data: String, sequences: Int?, tokenizer: Tokenizer, beginning: Int32?, seed: UInt64
  ) throws -> TaskEvaluation {
    guard (shots > 0) == (examples != nil) else {
      throw UsageError("--shots and --examples go together")
    }
    let records = try JSONLines.records(data)
    return try TaskEvaluation(
      records: sequences.map { Array(records.prefix($0)) } ?? records,
      template: Template(prompt.template ?? ""), tokenizer: tokenizer,
      settings: .init(
        beginning: beginning, maximumTextTokens: prompt.maxTextTokens, labelField: prompt.label,
        shots: shots, seed: seed),
      examples: try examples.map { try JSONLines.records($0) } ?? [])
  }
}

/// A progress line over windows or records.
struct WindowMeter {
  private let printer: ProgressPrinter
  private let total: Int

  init(quiet: Bool, total: Int) {
    printer = ProgressPrinter(quiet: quiet, showsTensors: false)
    self.total = total
  }

  func report(_ done: Int) {
    printer.report(.progress(done: done, total: total, current: "windows"))
  }

  func finish() { printer.finish() }
}
