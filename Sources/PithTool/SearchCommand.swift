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
        pith search --model model/ --max-kl 0.05 --output auto.yaml
        pith compress auto.yaml --model model/ --output small.h5
      """)

  @OptionGroup var modelOptions: ModelOptions

  @Option(help: "Bits per weight of the compressed tensors, scales counted.")
  var bits: Double?

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

  @Option(help: "Inputs that share a scale, or 'channel'; choices with commas.")
  var groups = "32,64,128,channel"

  @Option(
    help: """
      What may be pruned before rounding (SparseGPT), choices with commas: 0, a fraction, a pattern \
      N:M.
      """)
  var sparsities = "0"

  @Option(
    help: "Ranks of a path that repairs what was lost (EoRA, int8), choices with commas; 0: none.")
  var ranks = "0"

  @Option(help: "How the recipe rounds: rtn or gptq.")
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

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var options: RunOptions

  func run() throws {
    try OutputCheck.mayWrite(output, force: force, inputs: [modelOptions.model])
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
      bits.map { .bitsPerWeight($0) }, size.map { .bytes($0.bytes) },
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
    let choices = try groups.split(separator: ",").map { word throws(UsageError) in
      if word == "channel" { return QuantizeOptions.Group.channel }
      guard let length = Int(word), (2...1_048_576).contains(length) else {
        throw UsageError("--groups takes numbers of inputs and 'channel', such as 32,64,channel")
      }
      return .inputs(length)
    }
    guard !choices.isEmpty else { throw UsageError("--groups names no group") }
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
    guard let method = QuantizeOptions.Method(rawValue: method), method == .rtn || method == .gptq
    else { throw UsageError("--method takes rtn or gptq") }
    guard let estimator = SearchOptions.Estimator(rawValue: estimator) else {
      throw UsageError("--estimator takes probe or output")
    }
    let name = URL(fileURLWithPath: output).deletingPathExtension().lastPathComponent
    do {
      return SearchOptions(
        target: first, bits: minBits...maxBits, groups: choices, sparsities: sparsities,
        ranks: ranks,
        method: method, estimator: estimator,
        targets: target.isEmpty ? nil : try target.map { try Selector($0) },
        name: name.isEmpty ? "auto" : name)
    } catch { throw UsageError("--target: \(error)") }
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
    let counts = Dictionary(grouping: result.tensors) { tensor in
      "\(tensor.bits) bits, \(tensor.group.phrase)"
        + (tensor.sparsity.map { ", \($0.phrase)" } ?? "")
        + (tensor.rank > 0 ? ", rank \(tensor.rank)" : "")
    }
    for (name, tensors) in counts.sorted(by: { $0.key < $1.key }) {
      lines.append("\(name): \(tensors.count) tensors")
    }
    lines.append(
      "\(Format.fixed(result.bitsPerWeight, 3)) bits per weight, "
        + "\(Format.bytes(result.bytes)) of \(Format.bytes(result.storedBytes)) stored")
    lines.append(
      "KL(model || compressed), rounded to the nearest, \(result.divergenceTokens) tokens: "
        + Format.fixed(result.divergence, 5))
    lines.append("written: \(output)")
    return lines.joined(separator: "\n")
  }

  private func json(_ result: BitSearch.Result) -> JSONValue {
    [
      "recipe": .init(output), "bits_per_weight": .init(result.bitsPerWeight),
      "bytes": .init(result.bytes), "stored_bytes": .init(result.storedBytes),
      "predicted_loss": .init(result.predictedLoss), "kl_mean": .init(result.divergence),
      "kl_tokens": .init(result.divergenceTokens),
      "tensors": .array(
        result.tensors.map {
          [
            "name": .init($0.name), "bits": .init($0.bits), "group": .init($0.group.phrase),
            "sparsity": .init($0.sparsity?.phrase ?? "none"), "rank": .init($0.rank),
            "bytes": .init($0.bytes), "relative_error": .init($0.error), "loss": .init($0.loss),
          ]
        }),
    ]
  }
}

extension PruneOptions.Amount {
  /// The amount in a report.
  fileprivate var phrase: String {
    switch self {
    case .sparsity(let share): "\(Format.significant(share, 3)) pruned"
    case .pattern(let n, let m): "\(n):\(m) kept"
    }
  }
}

extension QuantizeOptions.Group {
  /// The group in a report.
  fileprivate var phrase: String {
    switch self {
    case .tensor: "a scale a tensor"
    case .channel: "a scale a channel"
    case .inputs(let length): "groups of \(length)"
    }
  }
}
