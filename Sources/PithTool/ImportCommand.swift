import ArgumentParser
import Foundation
import Pith

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Read another tool's quantized model or adapter into an artefact.",
    discussion: """
      Takes Hugging Face folders whose config.json has a quantization_config of GPTQ (v1 and v2, \
      with or without act-order), AWQ (GEMM) or compressed-tensors (pack-quantized, int-quantized, \
      float-quantized, NVFP4, MXFP4, MXFP8), and GGUF files. Codes, scales, zero points and blocks \
      are kept as they are. Every command reads a GGUF file as a checkpoint, too, its blocks \
      decoded.

      Takes LoRA adapters of peft too (a folder with adapter_config.json), over the dense model or \
      the artefact that --base names: each module's factors become the low-rank path of its weight.
      """)

  @Argument(help: "The folder, or the .gguf file.")
  var model: String

  @Option(help: "The artefact to write.")
  var output: String

  @Option(
    help: """
      With an adapter: the model or artefact that it stands beside. Default: the folder that \
      base_model_name_or_path names, where there is one.
      """)
  var base: String?

  @OptionGroup var writing: WritingOptions

  @OptionGroup var cap: MemoryOptions

  func run() throws {
    if AdaptedModel.isAdapter(model) { return try runAdapter() }
    guard base == nil else {
      throw UsageError(
        "'\(model)' is no adapter (it has no adapter_config.json); leave out --base")
    }
    let source = try ImportedModel(path: model)
    try writing.check(output, inputs: [model])
    try bringIn(source)
  }

  private func bringIn(_ source: any ImportableModel) throws {
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let outcome = try ImportRun.run(
      source, output: output, identity: .current(version: toolVersion),
      workers: writing.workerCount, memoryLimit: cap.memory?.bytes, report: printer.report)
    printer.finish()
    for warning in source.warnings { StandardError.write("warning: \(warning)") }
    print(
      "written: \(output), \(outcome.weights) \(source.format) weights of \(outcome.tensors) "
        + "tensors, \(Format.bytes(outcome.bytes))")
  }

  private func runAdapter() throws {
    let adapter = try PEFTAdapter(folder: model)
    guard let path = base ?? named(by: adapter) else {
      throw UsageError(
        "the adapter's base '\(adapter.basePath ?? "(not named)")' is not here; name the model or "
          + "the artefact with --base")
    }
    try writing.check(output, inputs: [model, path])
    let source = try CheckpointOpener.open(path)
    guard source.metadata.strings["format"] == ArtefactFormat.name else {
      return try bringIn(try AdaptedModel(adapter, base: source))
    }
    let count = try AdapterRun.add(
      adapter, to: ArtefactFile(path: path), output: output, workers: writing.workerCount,
      memoryLimit: cap.memory?.bytes)
    print("written: \(output), \(count) modules of the adapter beside the weights of \(path)")
  }

  /// The base that the adapter names, as a path or beside the adapter.
  private func named(by adapter: PEFTAdapter) -> String? {
    guard let name = adapter.basePath else { return nil }
    return [name, model + "/" + name].first { FileManager.default.fileExists(atPath: $0) }
  }
}
