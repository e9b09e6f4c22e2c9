import Foundation
import Pith

/// RTN int4 group 128, end to end.
enum CompressionBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let recipe = context.folder + "/rtn.yaml"
    let text = """
      version: 1
      name: bench
      stages:
        - quantize: {method: rtn, bits: 4, group: 128, clip: none}

      """
    try ReplacementFile.write(Array(text.utf8), to: recipe)
    let model = try context.model(mebibytes: 1024, tensors: 32)
    func command(_ extra: [String], model: String) -> [String] {
      [
        context.pith, "compress", recipe, "--model", model, "--output", context.folder + "/out.h5",
        "--force",
      ] + extra
    }
    for (name, options, bar) in [
      ("without hashing", ["--no-fsync", "--no-hash"], "1 GiB/s on 2 cores"),
      ("with hashing", ["--no-fsync"], "0.6 GiB/s on 2 cores"),
      ("with hashing and fsync", [], nil as String?),
    ] {
      let seconds = try Measured.median(command(options, model: model))
      show("RTN int4 g128 of 1 GiB, \(name)", "\(Format.fixed(1 / seconds, 2)) GiB/s", bar: bar)
    }
    let capped = ["--no-fsync", "--memory", "256MiB"]
    let small = try Measured.run(command(capped, model: model)).peakBytes
    let large = try Measured.run(
      command(capped, model: try context.model(mebibytes: 4096, tensors: 128))
    ).peakBytes
    show("peak memory, --memory 256MiB, 1 GiB model", Format.bytes(small), bar: "<= 256 MiB")
    show("peak memory, --memory 256MiB, 4 GiB model", Format.bytes(large), bar: "no more")
  }
}
