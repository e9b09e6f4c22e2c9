import ArgumentParser
import Pith

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Read another tool's quantized folder into an artefact.",
    discussion: """
      Takes Hugging Face folders whose config.json has a quantization_config of GPTQ (v1 and v2, \
      with or without act-order), AWQ (GEMM) or compressed-tensors (pack-quantized). Codes, scales \
      and zero points are kept as they are. A GGUF file needs no import: every command reads it as \
      a checkpoint, its blocks decoded.
      """)

  @Argument(help: "The folder.")
  var folder: String

  @Option(help: "The artefact to write.")
  var output: String

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func run() throws {
    let model = try ImportedModel(path: folder)
    try OutputCheck.mayWrite(output, force: force, inputs: [folder])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let outcome = try ImportRun.run(
      model, output: output, identity: .current(version: toolVersion),
      workers: max(1, workers ?? RunOptions.defaultWorkers), report: printer.report)
    printer.finish()
    print(
      "written: \(output), \(outcome.weights) \(model.format) weights of \(outcome.tensors) "
        + "tensors, \(Format.bytes(outcome.bytes))")
  }
}
