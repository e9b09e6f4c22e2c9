import ArgumentParser
import Pith

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Read another tool's quantized model into an artefact.",
    discussion: """
      Takes Hugging Face folders whose config.json has a quantization_config of GPTQ (v1 and v2, \
      with or without act-order), AWQ (GEMM) or compressed-tensors (pack-quantized, int-quantized, \
      float-quantized, NVFP4, MXFP4, MXFP8), and GGUF files. Codes, scales, zero points and blocks \
      are kept as they are. Every command reads a GGUF file as a checkpoint, too, its blocks \
      decoded.
      """)

  @Argument(help: "The folder, or the .gguf file.")
  var model: String

  @Option(help: "The artefact to write.")
  var output: String

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func run() throws {
    let source = try ImportedModel(path: model)
    try OutputCheck.mayWrite(output, force: force, inputs: [model])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let outcome = try ImportRun.run(
      source, output: output, identity: .current(version: toolVersion),
      workers: max(1, workers ?? RunOptions.defaultWorkers), report: printer.report)
    printer.finish()
    for warning in source.warnings { StandardError.write("warning: \(warning)") }
    print(
      "written: \(output), \(outcome.weights) \(source.format) weights of \(outcome.tensors) "
        + "tensors, \(Format.bytes(outcome.bytes))")
  }
}
