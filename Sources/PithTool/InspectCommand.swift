import ArgumentParser
import Pith

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "List the tensors of a checkpoint or an artefact.")

  @Argument(help: "A model (folder or file) or an artefact.")
  var path: String

  @Flag(help: "Read every value: minimum, maximum, mean, deviation, zeros, non-finite values.")
  var statistics = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let source = try CheckpointOpener.open(path)
    let listing = try CheckpointListing(
      source, statistics: statistics, pool: WorkerPool(workers: WorkerOptions.defaultWorkers))
    if json {
      print(listing.json.text(.pretty))
    } else {
      print(ListingReport.text(listing, width: Terminal.width), terminator: "")
    }
  }
}
