import ArgumentParser
import Foundation
import Pith

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write an artefact in another tool's format.",
    discussion: """
      Formats:

        peft   a folder with adapter_config.json, adapter_model.safetensors and the base model in \
      base/, as transformers and peft load them; the artefact needs low-rank paths
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @Option(help: "peft.")
  var format: ExportFormat

  @Option(help: "The folder to write.")
  var output: String

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    try OutputCheck.mayWrite(output, force: false, inputs: [artefact])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    switch format {
    case .peft:
      let report = try PEFTExport.run(file, toFolder: output) { done, total, name in
        printer.report(.progress(done: done, total: total, current: name))
      }
      printer.finish()
      for warning in report.warnings { StandardError.write("warning: \(warning)") }
      print("written: \(output), \(report.modules) modules and \(PEFTExport.baseFolder)/")
    }
  }
}

/// The formats by their names on the command line.
enum ExportFormat: String, ExpressibleByArgument, CaseIterable {
  case peft
}
