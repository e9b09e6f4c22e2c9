import ArgumentParser
import Foundation
import JSONText
import Pith

struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Gather the statistics of every linear layer's input, for methods that need them.",
    discussion: """
      One block at a time over the whole data set: only that block's weights and the hidden \
      states are in memory, the states only up to half of --memory. The file's format is \
      docs/statistics-format.md; other programs can write it.

        pith calibrate gather --help                 the options
        pith calibrate --model model/ --output stats.h5
        pith calibrate --model model/ --data text.txt --output stats.h5
        pith calibrate merge a.h5 b.h5 --output both.h5
      """,
    subcommands: [Gather.self, Merge.self], defaultSubcommand: Gather.self)

  struct Gather: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "gather", abstract: "Run a model over some text (the default).")

    @Option(help: "A model (folder or file) or an artefact.")
    var model: String

    @Option(
      help: """
        A text, JSONL, an HDF5 file with window_ids, or 'self' for the model's own samples. \
        Default: the public-domain text that ships with Pith.
        """)
    var data: String?

    @Option(help: "Windows, at random places of the text. Default: 128; all of window_ids.")
    var sequences: Int?

    @Option(help: "Tokens of a window. Default: 512, or the model's positions if fewer.")
    var length: Int?

    @Option(help: "The seed of the places.")
    var seed: UInt64 = 0

    @Option(name: [.short, .long], help: "The statistics file to write.")
    var output: String

    @OptionGroup var replacing: OutputOptions

    @Option(help: "JSONL: the field that holds the text.")
    var field = "text"

    @Option(help: "A tokenizer.json in place of the model's own.")
    var tokenizer: String?

    @OptionGroup var options: RunOptions

    func run() throws {
      try replacing.check(output, inputs: [model, data].compactMap { $0 })
      let opened = try OpenedModel.open(model, mapped: options.memory == nil)
      let pool = WorkerPool(workers: options.workerCount)
      let printer = ProgressPrinter(quiet: options.json, showsTensors: false)
      let (tokens, source) = try sequences(of: opened, pool: pool, printer)
      let lengths = tokens.map(\.count)
      let provenance =
        "\(source): \(tokens.count) windows of \(lengths.max() ?? 0) tokens, seed \(seed)"
      let blocks = opened.description.blocks.count
      let (statistics, summary) = try CalibrationRun.run(
        opened.weights, sequences: tokens, provenance: provenance,
        memoryLimit: options.memory.map { $0.bytes / 2 }, pool: pool
      ) { done in
        printer.report(.progress(done: done, total: blocks, current: "block \(done)"))
      }
      printer.finish()
      try StatisticsFile.write(statistics, to: output)
      if summary.shortSites > 0 {
        StandardError.write(
          "warning: \(summary.shortSites) inputs are wider than the rows seen, so that their "
            + "Gram matrices are singular; take more --sequences")
      }
      print(
        options.json ? Self.json(summary, provenance).text(.pretty) : text(summary, provenance))
    }

    private func sequences(
      of model: OpenedModel, pool: WorkerPool, _ printer: ProgressPrinter
    ) throws -> ([[Int32]], String) {
      let description = model.description
      if data == "self" { return (try ownSamples(of: model, pool: pool, printer), "self") }
      let found: EvaluationData
      if let data {
        found = try EvaluationData.read(
          data, field: field, vocabularySize: description.vocabularySize
        ) { try model.tokenizer(override: tokenizer) }
      } else {
        found = .stream(
          try EvaluationData.stream(
            BuiltInText.contents, BuiltInText.name, description.vocabularySize,
            model.tokenizer(override: tokenizer)))
      }
      return (
        try found.calibrationSequences(
          sequences: sequences, length: length, seed: seed, for: description),
        found.source
      )
    }

    private func ownSamples(
      of model: OpenedModel, pool: WorkerPool, _ printer: ProgressPrinter
    ) throws -> [[Int32]] {
      let tokenizer = try model.tokenizer(override: tokenizer)
      guard let beginning = tokenizer.beginning else {
        throw EvaluationError.noBeginning(path: tokenizer.path)
      }
      let length =
        length ?? min(EvaluationData.defaultLength, model.description.maximumPositions)
      return try CalibrationRun.ownSamples(
        of: model.load(memoryLimit: options.memory?.bytes, pool: pool), beginning: beginning,
        sequences: sequences ?? 128, length: length, seed: seed
      ) { done in
        printer.report(.progress(done: done, total: length, current: "sampling"))
      }
    }

    private func text(_ summary: CalibrationRun.Summary, _ provenance: String) -> String {
      """
      data: \(provenance)
      written: \(output), \(summary.sites) inputs, \(Format.count(summary.tokens)) tokens in \
      \(Format.duration(summary.seconds))\(summary.spilled ? ", hidden states in a file" : "")
      """
    }

    private static func json(
      _ summary: CalibrationRun.Summary, _ provenance: String
    ) -> JSONValue {
      [
        "provenance": .init(provenance), "sequences": .init(summary.sequences),
        "tokens": .init(summary.tokens), "inputs": .init(summary.sites),
        "seconds": .init(summary.seconds), "spilled": .init(summary.spilled),
      ]
    }
  }

  struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "merge", abstract: "Add up statistics of the same model.")

    @Argument(help: "Statistics files, two or more.")
    var inputs: [String]

    @Option(name: [.short, .long], help: "The statistics file to write.")
    var output: String

    @OptionGroup var replacing: OutputOptions

    func run() throws {
      guard inputs.count > 1 else { throw UsageError("merging takes two files or more") }
      try replacing.check(output, inputs: inputs)
      var total = CalibrationStatistics()
      for input in inputs { try total.merge(StatisticsFile.read(input)) }
      try StatisticsFile.write(total, to: output)
      print("written: \(output), \(total.sites.count) inputs, \(total.sequences) sequences")
    }
  }
}
