import ArgumentParser
import Foundation
import Pith

struct DecompressCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decompress", abstract: "Write an artefact's tensors back as a dense checkpoint.",
    discussion: """
      OUTPUT ending in .h5 or .hdf5 becomes HDF5, in .safetensors safetensors, anything else a \
      folder with model.safetensors, config.json and tokenizer, as other tools load it.
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @Argument(help: "The dense checkpoint to write.")
  var output: String

  @OptionGroup var writing: WritingOptions

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    try writing.check(output, inputs: [artefact])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let layout = try Decompression.layout(of: file)
    let target = try CheckpointWriter.open(
      path: output, tensors: layout, metadata: file.denseMetadata)
    try Decompression.run(
      file, into: target, workers: writing.workerCount, report: printer.report)
    try target.sink.finish()
    printer.finish()
    print("written: \(output), \(layout.count) tensors")
  }
}
