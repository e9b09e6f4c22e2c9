import Foundation
import JSONText
import Pith
import TestSupport
import Testing

/// `--memory` of `export` and `import`.
@Suite struct TransferMemoryTests {
  /// A folder with a model whose matrices are large beside what the program itself takes.
  private static func artefact(
    in folder: String, stages: String = "{quantize: {method: rtn, bits: 8}}"
  ) throws -> String {
    let model = folder + "/model"
    try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
    try RandomModel.write(
      to: model + "/model.safetensors", matrices: 6, rows: 4096, columns: 2048)
    try "version: 1\nname: t\ntargets: ['*']\nstages: [\(stages)]\n".write(
      toFile: folder + "/r.yaml", atomically: true, encoding: .utf8)
    try #"{"model_type": "llama"}"#.write(
      toFile: model + "/config.json", atomically: true, encoding: .utf8)
    let run = try Program.run([
      "compress", folder + "/r.yaml", "--model", model, "--output", folder + "/a.h5",
    ])
    #expect(run.status == 0, "\(run.error)")
    return folder + "/a.h5"
  }

  @Test("a capped export keeps its cap and writes what one without a cap writes")
  func exportKeepsItsCap() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.artefact(in: folder)
      let cap = 76 << 20
      func export(_ name: String, _ more: [String]) throws -> Int {
        let run = try Program.run(
          [
            "export", artefact, "--format", "gptq", "--output", folder + "/" + name,
            "--workers", "6", "--json",
          ] + more)
        #expect(run.status == 0, "\(run.error)")
        return try #require(JSONParser.parse(run.output)["peak_resident_bytes"]?.int)
      }
      // Six workers of their own accord hold up to six matrices, as many as happen to run at once.
      _ = try export("free", [])
      let capped = try export("capped", ["--memory", "\(cap)"])
      #expect(capped <= cap, "\(capped >> 20) MiB")
      let file = "/model.safetensors"
      #expect(
        FileManager.default.contentsEqual(
          atPath: folder + "/free" + file, andPath: folder + "/capped" + file))
      let back = try Program.run([
        "import", folder + "/capped", "--output", folder + "/b.h5", "--memory", "140MiB",
      ])
      #expect(back.status == 0, "\(back.error)")
    }
  }

  @Test("survivors that are unpacked for a format count, since they wait in memory")
  func unpackedSurvivorsCount() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.artefact(
        in: folder,
        stages: "{prune: {method: magnitude, sparsity: 0.5}}, {quantize: {method: rtn, bits: 8}}")
      for format in ["gptq", "compressed-tensors"] {
        let output = folder + "/" + format
        let capped = try Program.run([
          "export", artefact, "--format", format, "--output", output, "--memory", "100MiB",
        ])
        #expect(capped.status == 4, "\(format): \(capped.error)")
        #expect(!FileManager.default.fileExists(atPath: output))
        let enough = try Program.run([
          "export", artefact, "--format", format, "--output", output, "--memory", "140MiB",
        ])
        #expect(enough.status == 0, "\(format): \(enough.error)")
      }
    }
  }

  @Test("a cap below the largest tensor's need is refused before anything is written")
  func tooSmallACap() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.artefact(in: folder)
      let exported = try Program.run([
        "export", artefact, "--format", "gptq", "--output", folder + "/x", "--memory", "70MiB",
      ])
      #expect(exported.status == 4)
      #expect(
        exported.error.contains("'layers.0.qweight' needs up to 74 MiB"), "\(exported.error)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/x"))
      _ = try Program.run(["export", artefact, "--format", "gptq", "--output", folder + "/y"])
      let imported = try Program.run([
        "import", folder + "/y", "--output", folder + "/b.h5", "--memory", "100MiB",
      ])
      #expect(imported.status == 4)
      #expect(imported.error.contains("the limit is 100 MiB; raise --memory"), "\(imported.error)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/b.h5"))
    }
  }
}
