import ArgumentParser
import Foundation
import Pith

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Fold low-rank paths into the weights beside them.",
    discussion: """
      A dense base takes a path whole. A base of codes keeps its grid, and a path that is smaller \
      than half a step there vanishes: without --into-codes such weights keep their paths, with it \
      the report says how many codes changed and how much of the update survived.
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @Option(help: "The artefact to write.")
  var output: String

  @Flag(help: "Merge into codes too, and report what that loses.")
  var intoCodes = false

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    try OutputCheck.mayWrite(output, force: force, inputs: [artefact])
    let outcomes = try MergeRun.run(
      file, output: output, intoCodes: intoCodes, workers: workers ?? RunOptions.defaultWorkers)
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
