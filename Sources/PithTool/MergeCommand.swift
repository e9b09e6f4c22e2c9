import ArgumentParser
import Foundation
import Pith

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Fold low-rank paths, differences and adapters into what they belong to.",
    discussion: """
      A dense base takes a path whole. A base of codes keeps its grid, and a path that is smaller \
      than half a step there vanishes: without --into-codes such weights keep their paths, with it \
      the report says how many codes changed and how much of the update survived.

        pith merge repaired.h5 --output merged.h5
        pith merge difference tuned/ --base model/ --drop 0.9 --output sparse/
        pith merge adapter trained/ --initial start/ --output plain/
      """,
    subcommands: [Paths.self, Difference.self, Adapter.self], defaultSubcommand: Paths.self)

  struct Paths: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "paths",
      abstract: "Fold an artefact's low-rank paths into its weights (the default).")

    @Argument(help: "The artefact.")
    var artefact: String

    @Option(help: "The artefact to write.")
    var output: String

    @Flag(help: "Merge into codes too, and report what that loses.")
    var intoCodes = false

    @OptionGroup var writing: WritingOptions

    func run() throws {
      let file = try ArtefactFile(path: artefact)
      try writing.check(output, inputs: [artefact])
      let outcomes = try MergeRun.run(
        file, output: output, intoCodes: intoCodes, workers: writing.workerCount)
      for outcome in outcomes {
        guard let report = outcome.report else { continue }
        let share = Double(report.changed) / Double(max(report.codes, 1))
        print(
          "\(outcome.name): \(report.changed) of \(report.codes) codes changed "
            + "(\(Format.fixed(share * 100, 1)) %), \(Format.fixed(report.survived * 100, 1)) % of the "
            + "update survived, \(report.clipped) clipped")
      }
      print("written: \(output), \(outcomes.count) weights merged")
    }
  }

  struct Difference: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "difference",
      abstract: "Keep a share of what tuning changed in a model (DARE).",
      discussion: """
        The difference of two checkpoints loses the share --drop of its entries; at random the \
        rest is divided by what is left of 1, so that its mean stays what it was. OUTPUT is a dense \
        checkpoint, the base plus what is left.
        """)

    @Argument(help: "The tuned model: a folder or a file.")
    var tuned: String

    @Option(help: "The model that it was tuned from.")
    var base: String

    @Option(help: "The share of the difference's entries to drop, at least 0 and below 1.")
    var drop: Double

    @Option(help: "random, or magnitude: the smallest first, nothing divided.")
    var strategy = DifferenceSparsification.Strategy.random

    @Option(help: "The seed of what is dropped.")
    var seed: UInt64 = 0

    @Option(help: "The dense checkpoint to write.")
    var output: String

    @OptionGroup var writing: WritingOptions

    func run() throws {
      guard drop >= 0, drop < 1 else {
        throw UsageError("--drop \(drop): a share is at least 0 and below 1")
      }
      let (left, right) = (try CheckpointOpener.open(tuned), try CheckpointOpener.open(base))
      try writing.check(output, inputs: [tuned, base])
      let printer = ProgressPrinter(quiet: false, showsTensors: false)
      let outcome = try DifferenceRun.run(
        tuned: left, base: right,
        options: DifferenceRun.Options(share: drop, strategy: strategy, seed: seed),
        output: output, workers: writing.workerCount, report: printer.report)
      printer.finish()
      print(
        "written: \(output), \(outcome.tensors) tensors; \(outcome.kept) of \(outcome.differing) "
          + "differing entries kept, the difference's norm \(Format.fixed(outcome.normBefore, 4)) → "
          + "\(Format.fixed(outcome.normAfter, 4))")
    }
  }

  struct Adapter: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "adapter",
      abstract:
        "Make a trained residual adapter (PiSSA, CorDA) a plain LoRA on the original model.",
      discussion: """
        TRAINED and --initial are folders of peft: the factors after and before training. The \
        plain adapter has twice the rank, ΔW = s·(B·A − B₀·A₀), and stands beside the original \
        model, not beside the residual. Over a quantized residual it would not be the same model.
        """)

    @Argument(help: "The trained adapter's folder.")
    var trained: String

    @Option(help: "The adapter as it was before training.")
    var initial: String

    @Option(help: "The folder to write.")
    var output: String

    @OptionGroup var replacing: OutputOptions

    func run() throws {
      let (after, before) = (
        try PEFTAdapter(folder: trained, allowingResidual: true),
        try PEFTAdapter(folder: initial, allowingResidual: true)
      )
      try replacing.check(output, inputs: [trained, initial])
      let plain = try AdapterRun.plain(trained: after, initial: before, path: trained)
      try FileManager.default.createDirectory(
        atPath: output, withIntermediateDirectories: true)
      try plain.write(toFolder: output, layers: [])
      print("written: \(output), \(plain.modules.count) modules of twice the rank")
    }
  }
}

extension DifferenceSparsification.Strategy: ExpressibleByArgument {}
