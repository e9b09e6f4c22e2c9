import Foundation
import Pith

/// Exports of models of random weights against plain writing of the same files, of 512 MiB; those of
/// codes come from a model of 1.9 GiB, and once more from one of 512 MiB, whose files of 136 MiB show
/// what starting the program takes.
///
/// Processor time counts, of a copy with fsync as of an export, which ends with one: what the disk
/// takes is the same for both, and other people's. The wall clock's ratio is shown beside it.
enum ExportBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let folder = context.folder
    let small = RandomLlama(
      hidden: 1024, layers: 7, heads: 16, keyValueHeads: 16, inner: 4096, vocabulary: 8192)
    let large = RandomLlama(
      hidden: 2048, layers: 7, heads: 32, keyValueHeads: 32, inner: 8192, vocabulary: 8192)
    var larger = large
    larger.layers = 14
    let eightBits = "{method: rtn, bits: 8, group: 32, clip: none}"
    let dense = try artefact(context, "dense", small, "{method: rtn, bits: 8}", skipping: true)
    let coded = try artefact(context, "int8", small, eightBits, skipping: false)
    let codedLarge = try artefact(context, "int8-large", large, eightBits, skipping: false)
    // AWQ knows no other bits.
    let fourBits = "{method: rtn, bits: 4, group: 128, symmetric: false, clip: none}"
    let fourLarge = try artefact(context, "int4-large", larger, fourBits, skipping: false)
    let jobs: [(what: String, artefact: String, format: String)] = [
      ("f32 → hf", dense, "hf"), ("f32 → gguf", dense, "gguf"), ("int8 → hf, decoded", coded, "hf"),
      ("int8 → compressed-tensors", codedLarge, "compressed-tensors"),
      ("int8 → gguf", codedLarge, "gguf"), ("int8 → gptq", codedLarge, "gptq"),
      ("int4 → awq", fourLarge, "awq"), ("int4 → gptq", fourLarge, "gptq"),
      ("int8 → compressed-tensors, small", coded, "compressed-tensors"),
      ("int8 → gguf, small", coded, "gguf"),
    ]
    for job in jobs {
      let output = folder + "/export" + (job.format == "gguf" ? ".gguf" : "")
      let file = job.format == "gguf" ? output : output + "/model.safetensors"
      let command = [
        context.pith, "export", job.artefact, "--format", job.format, "--output", output,
        "--workers", "1",
      ]
      var (ours, plain): ([Measured], [Measured]) = ([], [])
      var bytes = 0
      for _ in 0..<5 {
        try? FileManager.default.removeItem(atPath: output)
        let export = try Measured.run(command)
        guard export.status == 0 else {
          show("export \(job.what)", "failed with \(export.status)")
          return
        }
        ours.append(export)
        bytes = try ReadOnlyFile(path: file).size
        try? FileManager.default.removeItem(atPath: folder + "/copy")
        plain.append(
          try Measured.run([
            "/bin/dd", "if=" + file, "of=" + folder + "/copy", "bs=1M", "conv=fsync",
          ]))
      }
      func median(_ runs: [Measured], _ figure: KeyPath<Measured, Double>) -> Double {
        runs.map { $0[keyPath: figure] }.sorted()[runs.count / 2]
      }
      let (export, copy) = (median(ours, \.processor), median(plain, \.processor))
      show(
        "export \(job.what), \(Format.bytes(bytes))", "\(Format.fixed(export, 2)) s of processor")
      show("the same against dd", Format.fixed(copy / export, 2), bar: ">= 0.5")
      let wall = median(plain, \.wall) / median(ours, \.wall)
      show("by the wall clock", Format.fixed(wall, 2))
      try? FileManager.default.removeItem(atPath: output)
    }
  }

  /// A Llama of random weights as an artefact.
  private static func artefact(
    _ context: BenchmarkContext, _ name: String, _ shape: RandomLlama, _ quantize: String,
    skipping: Bool
  ) throws -> String {
    let model = context.folder + "/llama-\(shape.hidden)-\(shape.layers)"
    if !FileManager.default.fileExists(atPath: model) { try shape.write(to: model) }
    let recipe = context.folder + "/\(name).yaml"
    try """
    version: 1
    name: \(name)
    targets: ["*"]
    stages:
      - quantize: \(quantize)
    \(skipping ? "overrides:\n  - {targets: [\"*\"], skip: true}" : "")
    """.write(toFile: recipe, atomically: true, encoding: .utf8)
    let output = context.folder + "/\(name).h5"
    _ = try Measured.run([
      context.pith, "compress", recipe, "--model", model, "--output", output,
    ])
    return output
  }
}
