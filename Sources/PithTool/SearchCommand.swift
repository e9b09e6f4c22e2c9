import ArgumentParser
import Foundation
import JSONText
import Pith

struct SearchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search", abstract: "Find bits for every tensor under a budget; writes a recipe.",
    discussion: """
      What each choice of bits and group loses at a layer's output is measured with the \
      statistics of its inputs, what a layer's loss costs the model by compressing it alone; the \
      best allocation is exact. The result is a recipe like any other.

        pith search --model model/ --statistics stats.h5 --bits 3.0 --output auto.yaml
        pith search --model model/ --bits 3 --count codes --groups 64 --output auto.yaml
        pith search --model model/ --max-kl 0.05 --output auto.yaml
        pith compress auto.yaml --model model/ --output small.h5
      """)

  @OptionGroup var modelOptions: ModelOptions

  @Option(help: "Bits per weight of the compressed tensors.")
  var bits: Double?

  @Option(
    help: """
      What --bits counts: all, scales and zero points too, or the codes alone, which is what \
      '3 bits' means elsewhere; then one group, as scales cost nothing (default 128).
      """)
  var count = "all"

  @Option(help: "Size of all tensors as stored, such as 80MiB.")
  var size: ByteCount?

  @Option(help: "The largest mean KL divergence, in nats, measured on --data.")
  var maxKl: Double?

  @Option(
    help: """
      Statistics of the model's inputs, by 'pith calibrate'. Without them they are gathered from \
      --data.
      """)
  var statistics: String?

  @Option(
    help: "A text, JSONL, or an HDF5 file with window_ids. Default: the text that ships with Pith.")
  var data: String?

  @Option(help: "Windows that divergences are measured on.")
  var sequences = 8

  @Option(help: "Tokens of a window. Default: 128, or the model's positions if fewer.")
  var length: Int?

  @Option(help: "Fewest bits.")
  var minBits = 2

  @Option(help: "Most bits.")
  var maxBits = 8

  @Option(
    help: "Inputs that share a scale, or 'channel'; choices with commas (32,64,128,channel).")
  var groups: String?

  @Option(
    help: """
      Number formats beside integers, with commas, the scales behind a stroke: \
      'nf4,ternary/e4m3'.
      """)
  var formats: String?

  @Option(
    help: """
      What may be pruned before rounding (SparseGPT), choices with commas: 0, a fraction, a pattern \
      N:M.
      """)
  var sparsities = "0"

  @Option(
    help: "Ranks of a path that repairs what was lost (EoRA, int8), choices with commas; 0: none.")
  var ranks = "0"

  @Option(help: "How the recipe rounds: rtn, gptq, or learned (gptq with learned rounding).")
  var method = "rtn"

  @Option(help: "What makes layers comparable: probe or output.")
  var estimator = "probe"

  @Option(
    help: "Tensors to compress, a glob; may be repeated. Default: as a recipe without targets.")
  var target: [String] = []

  @Option(help: "The seed of the windows' places.")
  var seed: UInt64 = 0

  @Option(help: "A tokenizer.json in place of the model's own.")
  var tokenizer: String?

  @Option(name: [.short, .long], help: "The recipe to write.")
  var output: String

  @OptionGroup var replacing: OutputOptions

  @OptionGroup var options: RunOptions

  func run() throws {
    try replacing.check(output, inputs: [modelOptions.model])
    let search = try searchOptions()
    let source = try modelOptions.open()
    let opened = try OpenedModel.open(modelOptions.model, mapped: options.memory == nil)
    let pool = WorkerPool(workers: options.workerCount)
    let text = try evaluationData(opened)
    let window = length ?? min(128, opened.description.maximumPositions)
    let windows = try text.calibrationSequences(
      sequences: sequences, length: window, seed: seed, for: opened.description)
    let printer = ProgressPrinter(quiet: options.json, showsTensors: false)
    let found = try calibration(opened, text, pool)
    var run = try BitSearch(
      source, weights: opened.weights, statistics: found, windows: windows, options: search,
      pool: pool)
    let count = run.tensorCount
    let total = search.estimator == .probe ? 2 * count : count
    let result = try run.run { done in
      printer.report(
        .progress(done: done, total: total, current: done <= count ? "candidates" : "layers alone"))
    }
    printer.finish()
    try FileOutput.write(result.recipe.yaml, to: output)
    print(options.json ? json(result).text(.pretty) : report(result))
  }

  private func searchOptions() throws -> SearchOptions {
    let targets: [SearchOptions.Target] = [
      bits.map { count == "codes" ? .codeBitsPerWeight($0) : .bitsPerWeight($0) },
      size.map { .bytes($0.bytes) },
      maxKl.map { .divergence($0) },
    ].compactMap { $0 }
    guard targets.count == 1, let first = targets.first else {
      throw UsageError("give one of --bits, --size and --max-kl")
    }
    if let bits, !(bits > 0 && bits < 64) { throw UsageError("--bits takes a number above 0") }
    if let maxKl, !(maxKl > 0 && maxKl.isFinite) {
      throw UsageError("--max-kl takes a number above 0")
    }
    guard (2...8).contains(minBits), (minBits...8).contains(maxBits) else {
      throw UsageError("--min-bits and --max-bits take 2 to 8, the smaller first")
    }
    guard count == "all" || count == "codes" else {
      throw UsageError("--count takes all or codes")
    }
    if count == "codes", bits == nil { throw UsageError("--count is for --bits") }
    let words = groups ?? (count == "codes" ? "128" : "32,64,128,channel")
    let choices = try words.split(separator: ",").map { word throws(UsageError) in
      if word == "channel" { return QuantizeOptions.Group.channel }
      guard let length = Int(word), (2...1_048_576).contains(length) else {
        throw UsageError("--groups takes numbers of inputs and 'channel', such as 32,64,channel")
      }
      return .inputs(length)
    }
    guard !choices.isEmpty else { throw UsageError("--groups names no group") }
    if count == "codes", choices.count > 1 {
      throw UsageError("--count codes makes scales free: name one group in --groups")
    }
    guard ["rtn", "gptq", "learned"].contains(method) else {
      throw UsageError("--method takes rtn, gptq or learned")
    }
    let sparsities = try sparsities.split(separator: ",").map(Self.sparsity)
    let ranks = try ranks.split(separator: ",").map { word throws(UsageError) in
      guard let rank = Int(word), (0...65536).contains(rank) else {
        throw UsageError("--ranks takes whole numbers, such as 0,8,16")
      }
      return rank
    }
    guard !sparsities.isEmpty, !ranks.isEmpty else {
      throw UsageError("--sparsities and --ranks name at least one choice each; 0 is none")
    }
    guard let estimator = SearchOptions.Estimator(rawValue: estimator) else {
      throw UsageError("--estimator takes probe or output")
    }
    let name = URL(fileURLWithPath: output).deletingPathExtension().lastPathComponent
    do {
      return SearchOptions(
        target: first, bits: minBits...maxBits, groups: choices, formats: try formatChoices(),
        sparsities: sparsities, ranks: ranks, method: method == "rtn" ? .rtn : .gptq,
        rounding: method == "learned" ? .learned : nil, estimator: estimator,
        targets: target.isEmpty ? nil : try target.map { try Selector($0) },
        name: name.isEmpty ? "auto" : name)
    } catch let error as UsageError { throw error } catch {
      throw UsageError("--target: \(error)")
    }
  }

  private func formatChoices() throws(UsageError) -> [SearchOptions.Format] {
    try (formats ?? "").split(separator: ",").map { word throws(UsageError) in
      let parts = word.split(separator: "/", maxSplits: 1).map(String.init)
      guard let format = QuantizeOptions.Format(rawValue: parts[0]) else {
        throw UsageError("--formats: no format is called '\(parts[0])'")
      }
      guard parts.count > 1 else { return .init(format) }
      guard let scales = QuantizeOptions.Scales(rawValue: parts[1]) else {
        throw UsageError("--formats: no scales are called '\(parts[1])'")
      }
      return .init(format, scales: scales)
    }
  }

  /// One choice of `--sparsities`.
  private static func sparsity(_ word: Substring) throws(UsageError) -> PruneOptions.Amount? {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    if parts.count == 2, let keep = parts[0], let of = parts[1], keep >= 1, keep < of, of <= 256 {
      return .pattern(n: keep, m: of)
    }
    guard let share = Double(word), share >= 0, share < 1 else {
      throw UsageError("--sparsities takes 0, fractions and patterns, such as 0,0.5,2:4")
    }
    return share == 0 ? nil : .sparsity(share)
  }

  private func evaluationData(_ model: OpenedModel) throws -> EvaluationData {
    guard let data else {
      return .stream(
        try EvaluationData.stream(
          BuiltInText.contents, BuiltInText.name, model.description.vocabularySize,
          model.tokenizer(override: tokenizer)))
    }
    return try EvaluationData.read(data, vocabularySize: model.description.vocabularySize) {
      try model.tokenizer(override: tokenizer)
    }
  }

  private func calibration(
    _ model: OpenedModel, _ text: EvaluationData, _ pool: WorkerPool
  ) throws -> CalibrationStatistics {
    if let statistics { return try StatisticsFile.read(statistics) }
    let tokens = try text.calibrationSequences(
      sequences: nil, length: nil, seed: seed, for: model.description)
    return try CalibrationRun.run(
      model.weights, sequences: tokens, provenance: text.source,
      memoryLimit: options.memory.map { $0.bytes / 2 }, pool: pool
    ).statistics
  }

  private func report(_ result: BitSearch.Result) -> String {
    var lines: [String] = []
    let counts = Dictionary(grouping: result.tensors, by: \.way.phrase)
    for (name, tensors) in counts.sorted(by: { $0.key < $1.key }) {
      lines.append("\(name): \(tensors.count) tensors")
    }
    lines.append(
      "\(Format.fixed(result.bitsPerWeight, 3)) bits per weight "
        + "(codes alone \(Format.fixed(result.codeBitsPerWeight, 3))), "
        + "\(Format.bytes(result.bytes)) of \(Format.bytes(result.storedBytes)) stored")
    lines.append(
      "KL(model || compressed), rounded to the nearest, \(result.divergenceTokens) tokens: "
        + Format.fixed(result.divergence, 5))
    for other in result.comparisons {
      lines.append(
        "  \(other.name), \(Format.fixed(other.bitsPerWeight, 3)) bits: "
          + Format.fixed(other.divergence, 5))
    }
    lines.append("written: \(output)")
    return lines.joined(separator: "\n")
  }

  private func json(_ result: BitSearch.Result) -> JSONValue {
    [
      "recipe": .init(output), "bits_per_weight": .init(result.bitsPerWeight),
      "code_bits_per_weight": .init(result.codeBitsPerWeight),
      "bytes": .init(result.bytes), "stored_bytes": .init(result.storedBytes),
      "predicted_loss": .init(result.predictedLoss), "kl_mean": .init(result.divergence),
      "kl_tokens": .init(result.divergenceTokens),
      "comparisons": .array(
        result.comparisons.map {
          [
            "name": .init($0.name), "bits_per_weight": .init($0.bitsPerWeight),
            "kl_mean": .init($0.divergence),
          ]
        }),
      "tensors": .array(
        result.tensors.map {
          [
            "name": .init($0.name), "choice": .init($0.way.phrase),
            "bytes": .init($0.bytes), "relative_error": .init($0.error), "loss": .init($0.loss),
          ]
        }),
    ]
  }
}
