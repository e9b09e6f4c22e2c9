import ArgumentParser
import Foundation
import JSONText
import Pith

struct FinetuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finetune",
    abstract: "Tune what is continuous in an artefact, with forward passes only.",
    discussion: """
      Zeroth order: two passes along a random direction give one number, and that number is the \
      step. Codes are never written; the scales are. The log of numbers beside the output is the \
      whole result: 'pith replay' makes the same file from it and the base.

        pith finetune w2.h5 --teacher model/ --data text.txt --steps 2000 --output tuned.h5
        pith finetune w2.h5 --data train.jsonl --template '{text} It was{ bad| good}' \\
          --output tuned.h5
        pith finetune model/ --method mezo --data text.txt --output tuned.safetensors
      """)

  @Argument(help: "The artefact, or a dense model.")
  var base: String

  @OptionGroup var data: TuningDataOptions

  @OptionGroup var tuning: TuningStepOptions

  @Option(name: [.short, .long], help: "The file to write.")
  var output: String

  @Option(help: "The log of the run. Default: the output's name with '.zolog'.")
  var log: String?

  @Flag(help: "Go on with the log of a run that was stopped.")
  var resume = false

  @Flag(help: "Replace an existing output and log.")
  var force = false

  @OptionGroup var options: RunOptions

  func run() throws {
    InterruptHandler.install()
    var request = TuningRequest(base: base, data: data.data, output: output)
    try data.fill(&request)
    request.options = try tuning.options()
    request.log = log
    request.resume = resume
    request.force = force
    request.workers = options.workerCount
    request.memoryLimit = options.memory?.bytes
    try OutputCheck.mayWrite(
      output, force: force || resume,
      inputs: [base, data.data, data.heldOut, data.teacher].compactMap { $0 })
    let printer = TuningPrinter(quiet: options.json)
    let outcome = try TuningRun.run(
      request, identity: .current(version: toolVersion),
      interruption: InterruptHandler.interruption, report: printer.report)
    printer.finish()
    for warning in outcome.warnings { StandardError.write("warning: \(warning)") }
    if options.json {
      print(TuningText.json(outcome).text(.pretty))
    } else {
      print(TuningText.summary(outcome), terminator: "")
    }
  }
}

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Make a tuned file again from its base and its log.",
    discussion: """
      The same bytes as the run itself wrote, without data and without running the model:

        pith replay w2.h5 run.zolog --output tuned.h5
        pith replay w2.h5 run.zolog --steps 1200 --output early.h5
      """)

  @Argument(help: "The file that the run started from.")
  var base: String

  @Argument(help: "The log.")
  var log: String

  @Option(help: "So many steps of it. Default: up to the state that the run kept.")
  var steps: Int?

  @Option(name: [.short, .long], help: "The file to write.")
  var output: String

  @OptionGroup var writing: WritingOptions

  func run() throws {
    try writing.check(output, inputs: [base, log])
    let result = try TuningRun.replay(
      base: base, log: log, steps: steps, output: output,
      workers: writing.workerCount)
    print(
      "written: \(output), step \(result.step) of \(result.header.options.steps), "
        + "state \(result.hash.prefix(16))")
  }
}

struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Look at the log of a tuning run.", subcommands: [Show.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "What a run did, with the curve of its loss.")

    @Argument(help: "The log.")
    var log: String

    @Flag(help: "Print everything as JSON.")
    var json = false

    func run() throws {
      let log = try SeedLog(path: log)
      print(
        json ? TuningText.json(log).text(.pretty) : TuningText.log(log, width: Terminal.width),
        terminator: json ? "\n" : "")
    }
  }
}
