import Foundation
import JSONText
import TestSupport
import Testing

/// Low-rank stages from the command line to figures.
@Suite struct LowRankTests {
  static let model = CompressTests.model

  static func recipe(_ stages: String, in folder: String) throws -> String {
    let path = folder + "/recipe.yaml"
    try "version: 1\nname: t\nstages: \(stages)\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  /// The mean over tensors of the relative error of the outputs, after compressing by stages.
  static func outputError(
    _ stages: String, statistics: String, in folder: String
  ) throws -> (error: Double, bytes: Int) {
    let output = folder + "/out.h5"
    let run = try Program.run([
      "compress", try recipe(stages, in: folder), "--model", model, "--output", output,
      "--statistics", statistics, "--force", "--json",
    ])
    #expect(run.status == 0, "\(run.error)")
    let validated = try Program.run([
      "validate", output, "--against", model, "--statistics", statistics, "--json", "-",
    ])
    #expect(validated.status == 0, "\(validated.error)")
    let tensors = try JSONParser.parse(validated.output)["tensors"]?.array ?? []
    let errors = tensors.compactMap { $0["error"]?["output_relative"]?.double }
    #expect(!errors.isEmpty)
    let size = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
    return (errors.reduce(0, +) / Double(max(errors.count, 1)), size)
  }

  static func withStatistics(_ body: (_ folder: String, _ statistics: String) throws -> Void) throws
  {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/statistics.h5"
      let run = try Program.run([
        "calibrate", "--model", model, "--output", path, "--sequences", "16", "--length", "64",
      ])
      #expect(run.status == 0, "\(run.error)")
      try body(folder, path)
    }
  }

  @Test func atEqualRankEoRABeatsPlainRepairBeatsNone() throws {
    try Self.withStatistics { folder, statistics in
      let base = "{quantize: {method: gptq, bits: 2, group: 32, symmetric: false}}"
      func error(_ repair: String) throws -> Double {
        try Self.outputError("[\(base)\(repair)]", statistics: statistics, in: folder).error
      }
      let none = try error("")
      let plain = try error(", {low_rank: {method: lorc, rank: 4, factors: f16}}")
      let eora = try error(", {low_rank: {method: eora, rank: 4, factors: f16}}")
      let short = try error(", {low_rank: {method: eora, rank: 4}}")
      #expect(eora < 0.98 * plain && plain < none)
      // int8 factors cost next to nothing.
      #expect(short < 1.02 * eora)
    }
  }

  @Test func aBudgetIsKeptAndBeatsSingleChoices() throws {
    try Self.withStatistics { folder, statistics in
      let mixed = try Self.outputError(
        "[{budget: {total_bits: 3.5}}]", statistics: statistics, in: folder)
      let output = folder + "/out.h5"
      let plain = try Self.outputError(
        "[{quantize: {method: gptq, bits: 3, group: 64, symmetric: false}}]",
        statistics: statistics, in: folder)
      #expect(mixed.error < plain.error)
      #expect(FileManager.default.fileExists(atPath: output))
    }
  }

  @Test func exportForPEFTHoldsTheBaseAndTheAdapter() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/pissa.h5"
      let run = try Program.run([
        "compress", try Self.recipe("[{low_rank: {method: pissa, rank: 4}}]", in: folder),
        "--model",
        Self.model, "--output", output,
      ])
      #expect(run.status == 0, "\(run.error)")
      let place = folder + "/peft"
      let export = try Program.run(["export", output, "--format", "peft", "--output", place])
      #expect(export.status == 0, "\(export.error)")
      let files = try FileManager.default.contentsOfDirectory(atPath: place).sorted()
      #expect(files == ["adapter_config.json", "adapter_model.safetensors", "base"])
      let inspected = try Program.run(["inspect", place + "/adapter_model.safetensors", "--json"])
      let names = try JSONParser.parse(inspected.output)["tensors"]?.array?.compactMap {
        $0["name"]?.string
      }
      #expect(
        names?.contains("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight") == true)
      #expect(try Program.run(["inspect", place + "/base"]).status == 0)
      // An artefact without paths has nothing for an adapter.
      let plain = folder + "/plain.h5"
      _ = try Program.run([
        "compress", "--preset", "w4", "--model", Self.model, "--output", plain,
      ])
      let refused = try Program.run([
        "export", plain, "--format", "peft", "--output", folder + "/none",
      ])
      #expect(refused.status == 3 && refused.error.contains("low_rank"))
    }
  }

  @Test func mergingSaysWhatCodesCannotHold() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/repaired.h5"
      let stages =
        "[{quantize: {method: rtn, bits: 4, group: 32}}, {low_rank: {method: lorc, rank: 4}}]"
      let run = try Program.run([
        "compress", try Self.recipe(stages, in: folder), "--model", Self.model, "--output", output,
      ])
      #expect(run.status == 0, "\(run.error)")
      let kept = try Program.run(["merge", output, "--output", folder + "/kept.h5"])
      #expect(kept.status == 0 && kept.output.contains("0 weights merged"), "\(kept.error)")
      let merged = try Program.run([
        "merge", output, "--output", folder + "/merged.h5", "--into-codes",
      ])
      #expect(merged.status == 0 && merged.output.contains("codes changed"), "\(merged.error)")
      #expect(try Program.run(["verify", folder + "/merged.h5"]).status == 0)
      let pissa = folder + "/pissa.h5"
      _ = try Program.run([
        "compress", try Self.recipe("[{low_rank: {method: pissa, rank: 4}}]", in: folder),
        "--model",
        Self.model, "--output", pissa,
      ])
      let dense = try Program.run(["merge", pissa, "--output", folder + "/dense.h5"])
      #expect(dense.status == 0, "\(dense.error)")
      let validated = try Program.run([
        "validate", folder + "/dense.h5", "--against", Self.model, "--json", "-",
      ])
      let tensors = try JSONParser.parse(validated.output)["tensors"]?.array ?? []
      let errors = tensors.compactMap { $0["error"]?["relative_frobenius"]?.double }
      #expect(!errors.isEmpty && errors.allSatisfy { $0 < 1e-6 })
    }
  }
}
