import Foundation
import JSONText
import TestSupport
import Testing

/// Adapters in, differences of checkpoints, and adapters made of adapters.
@Suite struct AdapterTests {
  static let model = LowRankTests.model

  static func succeeding(_ arguments: [String]) throws -> String {
    let run = try Program.run(arguments)
    #expect(run.status == 0, "\(arguments): \(run.error)")
    return run.output
  }

  /// Whether every weight of an artefact decodes to what another one's does, bit for bit.
  static func agree(_ artefact: String, _ other: String, in folder: String) throws -> Bool {
    let dense = folder + "/dense.safetensors"
    _ = try succeeding(["decompress", other, dense, "--force"])
    let text = try succeeding(["validate", artefact, "--against", dense, "--json", "-"])
    let errors = try (JSONParser.parse(text)["tensors"]?.array ?? []).compactMap {
      $0["error"]?["relative_frobenius"]?.double
    }
    return !errors.isEmpty && errors.allSatisfy { $0 == 0 }
  }

  static func compressed(_ stages: String, _ output: String, in folder: String) throws {
    _ = try succeeding([
      "compress", try LowRankTests.recipe(stages, in: folder), "--model", model, "--output", output,
      "--force",
    ])
  }

  @Test func anAdapterComesBackAsTheSameWeights() throws {
    try SharedFiles.withTemporaryFolder { folder in
      // Factors as they are, and codes that the export decodes.
      for (index, stages) in [
        "[{low_rank: {method: pissa, rank: 4}}]",
        "[{quantize: {method: rtn, bits: 4, group: 32}}, {low_rank: {method: lorc, rank: 4, factors: nf4}}]",
      ].enumerated() {
        let first = folder + "/first.h5"
        try Self.compressed(stages, first, in: folder)
        let place = folder + "/peft\(index)"
        _ = try Self.succeeding([
          "export", first, "--format", "peft", "--output", place,
        ])
        let second = folder + "/second.h5"
        // The adapter names its base.
        let text = try Self.succeeding(["import", place, "--output", second, "--force"])
        #expect(text.contains("PEFT weights"))
        _ = try Self.succeeding(["verify", second])
        #expect(try Self.agree(first, second, in: folder))
        // And out again: the same adapter.
        let again = folder + "/again\(index)"
        _ = try Self.succeeding([
          "export", second, "--format", "peft", "--output", again,
        ])
        let name = "/adapter_model.safetensors"
        #expect(
          try Data(contentsOf: URL(fileURLWithPath: place + name))
            == Data(contentsOf: URL(fileURLWithPath: again + name)))
      }
    }
  }

  @Test func anAdapterStandsBesideAnArtefact() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let stages = "{quantize: {method: rtn, bits: 4, group: 32}}"
      let repaired = folder + "/repaired.h5"
      try Self.compressed(
        "[\(stages), {low_rank: {method: lorc, rank: 4, factors: f16}}]", repaired, in: folder)
      _ = try Self.succeeding([
        "export", repaired, "--format", "peft", "--output", folder + "/peft",
      ])
      let plain = folder + "/plain.h5"
      try Self.compressed("[\(stages)]", plain, in: folder)
      let both = folder + "/both.h5"
      _ = try Self.succeeding([
        "import", folder + "/peft", "--base", plain, "--output", both,
      ])
      _ = try Self.succeeding(["verify", both])
      #expect(try Self.agree(both, repaired, in: folder))
      // Refusals: of another model, of a folder that is no adapter, of another kind of adapter.
      let path = folder + "/peft/adapter_config.json"
      let config = try String(contentsOfFile: path, encoding: .utf8)
      try config.replacing("\"LORA\"", with: "\"IA3\"").write(
        toFile: path, atomically: true, encoding: .utf8)
      let refused = try Program.run([
        "import", folder + "/peft", "--base", plain, "--output", folder + "/none.h5",
      ])
      #expect(refused.status == 3 && refused.error.contains("IA3"))
      let missing = try Program.run([
        "import", Self.model, "--base", plain, "--output", folder + "/none.h5",
      ])
      #expect(missing.status == 2 && missing.error.contains("adapter_config.json"))
    }
  }

  @Test func aTrainedAdapterBecomesAPlainOne() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let first = folder + "/first.h5"
      try Self.compressed("[{low_rank: {method: pissa, rank: 4}}]", first, in: folder)
      let start = folder + "/start"
      _ = try Self.succeeding(["export", first, "--format", "peft", "--output", start])
      // "Training": the factors of another start stand for trained ones.
      let other = folder + "/other.h5"
      try Self.compressed(
        "[{low_rank: {method: pissa_fast, rank: 4, iterations: 0, oversample: 0}}]", other,
        in: folder)
      let trained = folder + "/trained"
      _ = try Self.succeeding(["export", other, "--format", "peft", "--output", trained])
      let plain = folder + "/plain"
      let text = try Self.succeeding([
        "merge", "adapter", trained, "--initial", start, "--output", plain,
      ])
      #expect(text.contains("twice the rank"))
      let config = try JSONParser.parse(
        String(contentsOfFile: plain + "/adapter_config.json", encoding: .utf8))
      #expect(config["r"] == 8 && config["lora_alpha"] == 8 && config["init_lora_weights"] == true)
      // Beside the original it is what the trained one is beside the residual of the start.
      _ = try Self.succeeding([
        "import", plain, "--base", Self.model, "--output", folder + "/a.h5",
      ])
      _ = try Self.succeeding([
        "import", trained, "--base", start + "/base", "--output", folder + "/b.h5",
      ])
      _ = try Self.succeeding(["decompress", folder + "/b.h5", folder + "/b"])
      let validated = try Program.run([
        "validate", folder + "/a.h5", "--against", folder + "/b", "--json", "-",
      ])
      let tensors = try JSONParser.parse(validated.output)["tensors"]?.array ?? []
      let errors = tensors.compactMap { $0["error"]?["relative_frobenius"]?.double }
      #expect(!errors.isEmpty && errors.allSatisfy { $0 < 1e-5 }, "\(validated.error)")
    }
  }

  @Test func aDifferenceOfCheckpointsIsMadeSparse() throws {
    try SharedFiles.withTemporaryFolder { folder in
      // A "tuned" model: a rank-4 part of every weight is missing.
      let pissa = folder + "/pissa.h5"
      try Self.compressed("[{low_rank: {method: pissa, rank: 4}}]", pissa, in: folder)
      _ = try Self.succeeding(["export", pissa, "--format", "peft", "--output", folder + "/peft"])
      let tuned = folder + "/peft/base"
      func merge(_ options: [String], _ name: String) throws -> (text: String, bytes: Data) {
        let output = folder + "/" + name
        let text = try Self.succeeding(
          ["merge", "difference", tuned, "--base", Self.model, "--output", output] + options)
        return (text, try Data(contentsOf: URL(fileURLWithPath: output)))
      }
      let sparse = try merge(["--drop", "0.9", "--workers", "1"], "one.safetensors")
      #expect(sparse.text.contains("differing entries kept"))
      // The same seed gives the same bytes with any number of workers, another seed others.
      #expect(
        try merge(["--drop", "0.9", "--workers", "2"], "two.safetensors").bytes == sparse.bytes)
      #expect(
        try merge(["--drop", "0.9", "--seed", "1"], "three.safetensors").bytes != sparse.bytes)
      let words = sparse.text.split(separator: " ").map(String.init)
      let place = try #require(words.firstIndex(of: "differing"))
      let (kept, all) = (
        try #require(Double(words[place - 3])), try #require(Double(words[place - 1]))
      )
      #expect(all == 98_304 && abs(kept / all - 0.1) < 0.005, "\(sparse.text)")
      let refused = try Program.run([
        "merge", "difference", tuned, "--base", Self.model, "--drop", "1", "--output",
        folder + "/none",
      ])
      #expect(refused.status == 2)
    }
  }
}
