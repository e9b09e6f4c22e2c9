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

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(name: .customLong("shard"), help: "In a folder: the most bytes of one file, such as 5GB.")
  var shardBytes: ByteCount?

  func run() throws {
    let source = try CheckpointOpener.open(input)
    try OutputCheck.mayWrite(output, force: force, inputs: [input])
    let printer = ProgressPrinter(quiet: false, showsTensors: false)
    let sink = try CheckpointWriter.create(
      path: output, tensors: source.tensors.map { ($0.name, $0.dtype, $0.shape) },
      metadata: source.metadata, maximumShardBytes: shardBytes?.bytes)
    let total = source.tensors.reduce(0) { $0 + $1.byteCount }
    try CheckpointConversion.convert(source, to: sink) { done, name in
      printer.report(.progress(done: done, total: total, current: name))
    }
    try sink.finish()
    printer.finish()
    print("written: \(output), \(source.tensors.count) tensors, \(Format.bytes(total))")
  }
}
