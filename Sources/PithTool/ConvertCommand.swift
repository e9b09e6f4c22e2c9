import ArgumentParser
import Pith

struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Copy a checkpoint between HDF5 and safetensors, bit for bit.",
    discussion: """
      Values, names, shapes, element types and string metadata are kept. OUTPUT ending in .h5 or \
      .hdf5 becomes HDF5, in .safetensors one file, anything else a folder with its companions \
      (config.json, tokenizer.json, …).
      """)

  @Argument(help: "The checkpoint to read: a folder or a file.")
  var input: String

  @Argument(help: "The checkpoint to write.")
  var output: String

  @OptionGroup var replacing: OutputOptions

  @Flag(help: "Go on without objects of the file that are no tensors.")
  var leaveOutOthers = false

  @Option(name: .customLong("shard"), help: "In a folder: the most bytes of one file, such as 5GB.")
  var shardBytes: ByteCount?

  func run() throws {
    let source = try CheckpointOpener.open(input)
    if !leaveOutOthers { try source.requireOnlyTensors() }
    try replacing.check(output, inputs: [input])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let report = try CheckpointConversion.convert(
      source, toPath: output,
      maximumShardBytes: shardBytes?.bytes ?? CheckpointWriter.defaultShardBytes
    ) { step in
      printer.report(
        .progress(done: step.bytesDone, total: step.bytesTotal, current: step.tensor))
    }
    printer.finish()
    print("written: \(output), \(report.tensorCount) tensors, \(Format.bytes(report.byteCount))")
    if !report.companionsLeftOut.isEmpty {
      StandardError.write(
        "warning: not carried along: \(report.companionsLeftOut.joined(separator: ", "))")
    }
    if !report.attributesLeftOut.isEmpty {
      StandardError.write(
        "warning: safetensors has no place for the attributes of "
          + "\(report.attributesLeftOut.count) tensors")
    }
  }
}
