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
    let statistics =
      try statistics
      ? source.tensors.map { tensor in
        tensor.dtype.isFloatingPoint
          ? try TensorStatistics.scan(tensor, in: source) : nil
      } : nil
    if json {
      print(InspectReport.json(source, statistics).text(.pretty))
    } else {
      print(InspectReport.text(source, statistics, width: Terminal.width), terminator: "")
    }
  }
}
