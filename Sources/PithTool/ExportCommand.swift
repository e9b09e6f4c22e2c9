import ArgumentParser
import Foundation
import Pith

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write an artefact in another tool's format.",
    discussion: """
      Formats:

        hf                  dense safetensors with config.json and tokenizer, as transformers loads
        compressed-tensors  integers, FP8, NVFP4 and MXFP4 for vLLM and transformers, with how
                            inputs are rounded
        gptq, gptq-v2       integer codes for GPTQModel and its kin
        awq                 4-bit codes in AutoAWQ's GEMM layout
        peft                low-rank paths as an adapter, the rest as the base model in base/
        gguf                one file for llama.cpp: integer codes in blocks of 32, the rest plain
        keras               a Keras model's .weights.h5; --int8 and --int4 for Keras's own
                            variables of codes

      What has no exact form in a format is refused with the reason; --allow-requantize rounds it \
      again and reports what that adds. docs/interchange.md lists formats and the programs that \
      were seen to load them.
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @Option(help: "hf, compressed-tensors, gptq, gptq-v2, awq, peft, gguf or keras.")
  var format: ExportFormat

  @Option(help: "The folder to write, or the .gguf or .weights.h5 file.")
  var output: String

  @Flag(help: "Round again what the format cannot hold as it is, and report the added error.")
  var allowRequantize = false

  @Option(help: "The type of values that are stored plainly: f32, f16 or bf16. Default: their own.")
  var dtype: PlainType?

  @Option(name: .customLong("shard"), help: "In a folder: the most bytes of one file, such as 5GB.")
  var shardBytes: ByteCount?

  @Flag(help: "Only keras: 8-bit kernels become int8 variables, for a model quantized so.")
  var int8 = false

  @Flag(help: "Only keras: 4-bit kernels become int4 variables, for a model quantized so.")
  var int4 = false

  @Flag(help: "Only keras: compress the file's datasets.")
  var gzip = false

  @OptionGroup var writing: WritingOptions

  @OptionGroup var cap: MemoryOptions

  @Flag(help: "Print the result as JSON on standard output.")
  var json = false

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    try writing.check(output, inputs: [artefact])
    let exportOptions = ExportOptions(
      allowRequantize: allowRequantize, dtype: dtype?.dtype, memoryLimit: cap.memory?.bytes)
    let printer = ProgressPrinter(quiet: json, showsTensors: false)
    let pool = WorkerPool(workers: writing.workerCount)
    let report: @Sendable (Int, Int, String) -> Void = { done, total, name in
      printer.report(.progress(done: done, total: total, current: name))
    }
    let weights: [ExportedWeight]
    let warnings: [String]
    switch format {
    case .folder(let folder):
      let plan = try FolderExport.plan(file, as: folder, options: exportOptions, pool: pool)
      try plan.writeFolder(
        output, maximumShardBytes: shardBytes?.bytes ?? CheckpointWriter.defaultShardBytes,
        pool: pool, report: report)
      (weights, warnings) = (plan.weights, plan.warnings)
    case .peft:
      let outcome = try PEFTExport.run(
        file, toFolder: output, memoryLimit: cap.memory?.bytes, report: report)
      printer.finish()
      for warning in outcome.warnings { StandardError.write("warning: \(warning)") }
      print("written: \(output), \(outcome.modules) modules and \(PEFTExport.baseFolder)/")
      return
    case .gguf:
      let plan = try GGUFExport(file, options: exportOptions)
      try plan.write(to: output, pool: pool, report: report)
      (weights, warnings) = (plan.weights, plan.warnings)
    case .keras:
      let modes: [KerasMode] = (int8 ? [.int8] : []) + (int4 ? [.int4] : [])
      let plan = try KerasExport(file, options: exportOptions, modes: Set(modes))
      try plan.write(to: output, gzip: gzip, pool: pool, report: report)
      (weights, warnings) = (plan.weights, [])
    }
    printer.finish()
    for warning in warnings { StandardError.write("warning: \(warning)") }
    ExportSummary(output: output, weights: weights).print(asJSON: json)
  }
}

/// The formats by their names on the command line.
enum ExportFormat: ExpressibleByArgument {
  case folder(FolderFormat)
  case peft, gguf, keras

  init?(argument: String) {
    if argument == "gguf" {
      self = .gguf
    } else if argument == "peft" {
      self = .peft
    } else if argument == "keras" {
      self = .keras
    } else if let folder = FolderFormat(rawValue: argument) {
      self = .folder(folder)
    } else {
      return nil
    }
  }

  static let allValueStrings = FolderFormat.allCases.map(\.rawValue) + ["peft", "gguf", "keras"]
}

/// The types of plain values by their names on the command line.
enum PlainType: String, ExpressibleByArgument, CaseIterable {
  case f32, f16, bf16

  var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }
}
