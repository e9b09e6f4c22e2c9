import Foundation
import JSONText
import TestSupport
import Testing

/// The other commands, as a user meets them.
@Suite struct CommandTests {
  private static let model = SharedFiles.fixture("nanollama/model.h5")

  @Test func inspectListsAndMeasures() throws {
    let plain = try JSONParser.parse(try Program.run(["inspect", Self.model, "--json"]).output)
    #expect(plain["format"]?.string == "HDF5")
    #expect(plain["tensor_count"]?.int == 21 && plain["tensors"]?.array?.count == 21)
    #expect(plain["tensors"]?[0]?["statistics"] == nil)
    let measured = try JSONParser.parse(
      try Program.run(["inspect", Self.model, "--statistics", "--json"]).output)
    for tensor in measured["tensors"]?.array ?? [] {
      let statistics = try #require(tensor["statistics"])
      let minimum = try #require(statistics["minimum"]?.double)
      let maximum = try #require(statistics["maximum"]?.double)
      let mean = try #require(statistics["mean"]?.double)
      #expect(minimum <= mean && mean <= maximum && statistics["non_finite_count"]?.int == 0)
    }
    let table = try Program.run(["inspect", Self.model, "--statistics"])
    #expect(table.status == 0 && table.output.contains("non-finite"))
    for line in table.output.split(separator: "\n").dropFirst(4) where !line.contains(" = ") {
      #expect(line.count <= 80, "\(line)")
    }
  }

  private func succeed(_ arguments: [String]) throws -> Program.Result {
    let run = try Program.run(arguments)
    try #require(run.status == 0, "\(run.error)")
    return run
  }

  /// A saved reference stands in for the model: what does not depend on the tokens that were left
  /// out is the same to rounding, the divergence is below.
  @Test func compareTakesASavedReference() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let text = SharedFiles.fixture("text/heldout_publicdomain.txt")
      let windows = ["--data", text, "--sequences", "4", "--length", "64"]
      var models: [String] = []
      for preset in ["w4", "w3"] {
        models.append("\(folder)/\(preset).h5")
        _ = try succeed([
          "compress", "--preset", preset, "--model", Self.model, "--output",
          models[models.count - 1],
        ])
      }
      let saved = folder + "/reference.h5"
      _ = try succeed(
        ["evaluate", "--model", Self.model, "--save-reference", saved, "--top-k", "64"] + windows)
      func compare(_ reference: String) throws -> JSONValue {
        try JSONParser.parse(
          try succeed(["compare"] + models + ["--reference", reference, "--json"] + windows)
            .output)
      }
      let (live, kept) = (try compare(Self.model), try compare(saved))
      for index in 0..<2 {
        let (row, other) = (live["models"]?[index], kept["models"]?[index])
        // Other sums over the vocabulary, in f32: equal but for rounding.
        let one = try #require(row?["perplexity"]?["value"]?.double)
        let two = try #require(other?["perplexity"]?["value"]?.double)
        #expect(abs(one / two - 1) < 1e-6)
        #expect(row?["divergence"]?["top1_agreement"] == other?["divergence"]?["top1_agreement"])
        let full = try #require(row?["divergence"]?["kl_mean"]?["value"]?.double)
        let bound = try #require(other?["divergence"]?["kl_mean"]?["value"]?.double)
        #expect(bound < full && bound > full / 2)
      }
      let printed = try succeed(["compare"] + models + ["--reference", saved] + windows)
      #expect(printed.output.contains("a lower bound: over the reference's 64 saved tokens"))
    }
  }

  @Test func convertGoesBothWaysBitForBit() throws {
    try SharedFiles.withTemporaryFolder { folder in
      for (source, steps) in [
        (Self.model, ["a.safetensors", "b.h5"]),
        (SharedFiles.fixture("nanollama/model.safetensors"), ["c.h5", "d.safetensors"]),
      ] {
        var previous = source
        for step in steps {
          let output = folder + "/" + step
          let run = try Program.run(["convert", previous, output])
          #expect(run.status == 0, "\(run.error)")
          #expect(try listing(previous) == listing(output), "\(step)")
          previous = output
        }
        // The values: statistics of every tensor to the last bit, and an artefact of either.
        #expect(try payloads(source, folder) == payloads(previous, folder))
      }
      let refused = try Program.run(["convert", Self.model, folder + "/a.safetensors"])
      #expect(refused.status == 2 && refused.error.contains("--force"))
    }
  }

  private func listing(_ path: String) throws -> Set<String> {
    let run = try Program.run(["inspect", path, "--statistics", "--json"])
    let tensors = try JSONParser.parse(run.output)["tensors"]?.array ?? []
    return Set(
      tensors.map { tensor in
        ["name", "dtype", "shape", "bytes", "statistics"].map { tensor[$0]?.text() ?? "" }
          .joined(separator: " ")
      })
  }

  /// The SHA-256 of every source tensor, as the artefact of a model that nothing changes has it.
  private func payloads(_ model: String, _ folder: String) throws -> Set<String> {
    let output = folder + "/artefact.h5"
    let run = try Program.run([
      "compress", "--preset", "w8", "--model", model, "--output", output, "--force",
    ])
    #expect(run.status == 0, "\(run.error)")
    let metadata = try JSONParser.parse(try Program.run(["inspect", output, "--json"]).output)
    let hashes = try JSONParser.parse(metadata["metadata"]?["source_sha256"]?.string ?? "{}")
    let result = Set(hashes.object?.members.map { "\($0.key) \($0.value.string ?? "")" } ?? [])
    #expect(result.count == 21)
    return result
  }

  @Test func recipeCheckPointsAtMistakes() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/r.yaml"
      func check(_ text: String, _ more: [String] = []) throws -> Program.Result {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return try Program.run(["recipe", "check", path] + more)
      }
      let head = "version: 1\nname: t\n"
      let good = head + "stages:\n  - quantize: {method: rtn, bits: 4}\n"
      #expect(try check(good).status == 0)
      #expect(try check(good, ["--model", Self.model]).status == 0)
      var bad = try check(head + "stages:\n  - quantise: {method: rtn, bits: 4}\n")
      #expect(bad.status == 2 && bad.error.contains("r.yaml:4:5"), "\(bad.error)")
      #expect(bad.error.contains("quantize"))
      bad = try check(good + "ignore: [\"lm_haed.weight\"]\n", ["--model", Self.model])
      #expect(bad.status == 2 && bad.error.contains("r.yaml:5:10"), "\(bad.error)")
      #expect(bad.error.contains("lm_head.weight"))
      bad = try check(head)
      #expect(bad.status == 2)
      let missing = try Program.run(["recipe", "check", folder + "/none.yaml"])
      #expect(missing.status == 2 && missing.error.contains("none.yaml"), "\(missing.error)")
    }
  }

  @Test func planTouchesNothing() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: Self.model, toPath: folder + "/model.h5")
      try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder)
      defer {
        try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
      }
      let before = try CompressTests.sha256(ofFile: folder + "/model.h5")
      let run = try Program.run(
        ["plan", "--preset", "w4", "--model", folder + "/model.h5"], in: folder)
      #expect(run.status == 0, "\(run.error)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.h5"])
      #expect(try CompressTests.sha256(ofFile: folder + "/model.h5") == before)
      for line in run.output.split(separator: "\n") where !line.hasPrefix("recipe ") {
        #expect(line.count <= 80, "\(line)")
      }
      let json = try JSONParser.parse(
        try Program.run(["plan", "--preset", "w4", "--model", Self.model, "--json"]).output)
      #expect(json["totals"]?["compressed_bits_per_weight"]?.double == 4.25)
      #expect(json["forecast"]?["peak_bytes"]?.int ?? 0 > 0)
    }
  }

  @Test func exitCodesTellWhoIsToBlame() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      // Usage: both a recipe and a preset, a bad number, an unknown preset.
      for arguments in [
        ["plan", "r.yaml", "--preset", "w4", "--model", Self.model],
        ["plan", "--preset", "w4", "--model", Self.model, "--workers", "0"],
        ["plan", "--preset", "w4", "--model", Self.model, "--memory", "much"],
        ["plan", folder + "/none.yaml", "--model", Self.model],
      ] {
        #expect(try Program.run(arguments).status == 2, "\(arguments)")
      }
      // Input: a model that is not there, one that is no model, an artefact that is none.
      for arguments in [
        ["inspect", folder + "/none.h5"], ["verify", Self.model],
        ["decompress", Self.model, folder + "/dense"],
        ["compress", "--preset", "w4", "--model", folder, "--output", output],
        ["inspect", SharedFiles.repository + "/README.md"],
      ] {
        let run = try Program.run(arguments)
        #expect(run.status == 3, "\(arguments): \(run.error)")
        #expect(!run.error.isEmpty)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func validateWritesAPageThatStandsAlone() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      #expect(
        try Program.run([
          "compress", "--preset", "w4", "--model", Self.model, "--output", output,
          "--html", folder + "/run.html",
        ]).status == 0)
      let run = try Program.run([
        "validate", output, "--against", Self.model, "--html", folder + "/errors.html",
      ])
      #expect(run.status == 0, "\(run.error)")
      #expect(run.output.contains("7 tensors as they were, 1.00 MiB, all the same as the model's"))
      for line in run.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
      for page in ["run.html", "errors.html"] {
        let text = try String(contentsOfFile: folder + "/" + page, encoding: .utf8)
        #expect(text.contains("model.layers.1.mlp.up_proj.weight") && text.contains("<svg"))
        #expect(!text.contains("http") && !text.contains("<script"))
      }
      let record = try JSONParser.parse(
        try String(contentsOfFile: output + ".run.json", encoding: .utf8))
      #expect(record["command"]?.string == "compress")
      // Another model's tensors are noticed.
      let other = try Program.run([
        "validate", output, "--against", SharedFiles.fixture("forward/llama"),
      ])
      #expect(other.status == 3, "\(other.error)")
    }
  }

  /// A limit on the size of files stands in for a full disk.
  @Test func afterAFullDiskTheRunGoesOn() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try RandomModel.write(
        to: folder + "/model.safetensors", matrices: 6, rows: 512, columns: 256)
      func arguments(_ name: String) -> [String] {
        [
          "compress", "--preset", "w8", "--model", folder + "/model.safetensors", "--output",
          folder + "/" + name, "--workers", "1",
        ]
      }
      let whole = try Program.run(arguments("peace.h5"))
      #expect(whole.status == 0, "\(whole.error)")
      // In blocks of 512 bytes: the first limit stops the parts, the second the assembly.
      for (blocks, place) in [(100, ".part"), (600, "out.h5")] {
        let output = folder + "/out.h5"
        let limited = try Program.run(
          [
            "-c", "ulimit -f \(blocks); exec \"$0\" \"$@\"", Program.path,
          ] + arguments("out.h5"), executable: "/bin/sh")
        #expect(!limited.wasSignalled)
        #expect(limited.status == 4, "\(limited.status): \(limited.error)")
        #expect(limited.error.contains(place), "\(limited.error)")
        #expect(!FileManager.default.fileExists(atPath: output))
        let resumed = try Program.run(arguments("out.h5") + ["--resume"])
        #expect(resumed.status == 0, "\(resumed.error)")
        #expect(
          try CompressTests.sha256(ofFile: output)
            == CompressTests.sha256(ofFile: folder + "/peace.h5"))
        try FileManager.default.removeItem(atPath: output)
      }
    }
  }

  /// The cap is a promise: a run under the least one that its plan accepts keeps it.
  @Test(arguments: [
    "{transform: {method: channel_scale, alpha: 0.5}}, {outliers: {method: columns, count: 8}}, "
      + "{prune: {method: magnitude, sparsity: 0.5}}, {quantize: {method: rtn, bits: 4, group: 64}}",
    "{low_rank: {method: svd, of: weight, rank: 4}}",
  ])
  func theMemoryCapIsKept(_ stages: String) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let decomposes = stages.contains("svd")
      try RandomModel.write(
        to: folder + "/model.safetensors", matrices: 2, rows: decomposes ? 768 : 1536,
        columns: decomposes ? 768 : 1536)
      try "version: 1\nname: t\nstages: [\(stages)]\n".write(
        toFile: folder + "/r.yaml", atomically: true, encoding: .utf8)
      let arguments = [
        folder + "/r.yaml", "--model", folder + "/model.safetensors", "--workers", "1", "--json",
      ]
      let plan = try JSONParser.parse(try Program.run(["plan"] + arguments).output)
      let limit = try #require(plan["forecast"]?["peak_bytes"]?.int)
      let less = try Program.run(["plan"] + arguments + ["--memory", "\(limit - (1 << 20))"])
      #expect(less.status == 4, "the forecast is no tight one")
      let run = try Program.run(
        ["compress"] + arguments + ["--memory", "\(limit)", "--output", folder + "/out.h5"])
      #expect(run.status == 0, "\(run.error)")
      let peak = try #require(try JSONParser.parse(run.output)["peak_resident_bytes"]?.int)
      #expect(peak <= limit, "\(peak >> 20) MiB of \(limit >> 20)")
    }
  }
}
