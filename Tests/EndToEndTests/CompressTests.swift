import Digests
import Foundation
import JSONText
import TestSupport
import Testing

/// The main job, from checkpoint to figures.
@Suite struct CompressTests {
  static let model = SharedFiles.fixture("nanollama/model.h5")

  static func recipe(_ name: String) -> String {
    SharedFiles.repository + "/recipes/" + name + ".yaml"
  }

  static func sha256(ofFile path: String) throws -> String {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return data.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
  }

  /// Statistics gathered before, for one of the calibrated recipes; the others gather their own.
  static func statistics(for recipe: String, in folder: String) throws -> [String] {
    guard ["w4-gptq", "w4-awq", "width75"].contains(recipe) else { return [] }
    let path = folder + "/statistics.h5"
    let run = try Program.run([
      "calibrate", "--model", model, "--output", path, "--sequences", "16", "--length", "64",
    ])
    #expect(run.status == 0, "\(run.error)")
    return ["--statistics", path]
  }

  /// Every recipe in the repository.
  static let recipes: [String] = {
    let folder = SharedFiles.repository + "/recipes"
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    // Those that end with tuning need texts of their own (`FinetuneTests`).
    return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
      .filter { !FinetuneTests.recipes.contains($0) }
  }()

  @Test(arguments: recipes)
  func everyRecipeRunsOnTheNanoModel(_ name: String) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      let run = try Program.run(
        ["compress", Self.recipe(name), "--model", Self.model, "--output", output, "--json"]
          + Self.statistics(for: name, in: folder))
      #expect(run.status == 0, "\(run.error)")
      let record = try JSONParser.parse(run.output)
      let ratio = record["totals"]?["ratio"]?.double ?? 0
      #expect(ratio > 0.5)
      #expect(try Program.run(["verify", output]).status == 0)
      // A narrower model has no tensor to compare with.
      if try String(contentsOfFile: Self.recipe(name), encoding: .utf8).contains("narrow:") {
        return
      }
      let validate = try Program.run(["validate", output, "--against", Self.model, "--json", "-"])
      #expect(validate.status == 0, "\(validate.error)")
      // The errors measured while compressing are those that reading the file back gives.
      let figures = try JSONParser.parse(validate.output)
      for (during, after) in zip(record["tensors"]?.array ?? [], figures["tensors"]?.array ?? []) {
        #expect(during["name"] == after["name"])
        // An edited weight is another weight than the model's: validation gives it no error.
        guard let expected = during["error"]?["relative_frobenius"]?.double,
          after["reason"]?.string != "edited before"
        else { continue }
        let found = after["error"]?["relative_frobenius"]?.double ?? -1
        #expect(
          abs(found - expected) <= 1e-6 * max(expected, 1e-6), "\(during["name"]?.string ?? "")")
      }
      #expect(!FileManager.default.fileExists(atPath: output + ".pith-work"))
    }
  }

  @Test func calibratedRecipesRunByThemselvesOrSayWhyNot() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      let run = try Program.run([
        "compress", Self.recipe("w3-gptq"), "--model", Self.model, "--output", output,
        "--calibration", SharedFiles.fixture("text/heldout_publicdomain.txt"), "--sequences", "8",
        "--length", "32",
      ])
      #expect(run.status == 0, "\(run.error)")
      let inspected = try Program.run(["inspect", output])
      #expect(inspected.status == 0)
      let evaluate = try Program.run([
        "evaluate", "--model", output, "--data",
        SharedFiles.fixture("text/heldout_publicdomain.txt"), "--sequences", "4",
      ])
      #expect(evaluate.status == 0, "\(evaluate.error)")
      try RandomModel.write(to: folder + "/random.safetensors", matrices: 2, rows: 64, columns: 64)
      let refused = try Program.run([
        "compress", Self.recipe("w3-gptq"), "--model", folder + "/random.safetensors", "--output",
        folder + "/no.h5",
      ])
      #expect(refused.status == 3)
      #expect(
        refused.error.contains("64 × 64") && refused.error.contains("--statistics"),
        "\(refused.error)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/no.h5.pith-work"))
      let both = try Program.run([
        "compress", Self.recipe("w3-gptq"), "--model", Self.model, "--output", output,
        "--statistics", "s.h5", "--sequential", "none",
      ])
      #expect(both.status == 2 && both.error.contains("--statistics"))
    }
  }

  @Test func sameBytesWithAnyWorkersAndMemory() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var hashes: Set<String> = []
      for (index, options) in [
        ["--workers", "1"], ["--workers", "2"], ["--workers", "2"],
        ["--workers", "3", "--memory", "96MiB"],
      ].enumerated() {
        let output = folder + "/\(index).h5"
        let run = try Program.run(
          ["compress", Self.recipe("w4-rtn-svd"), "--model", Self.model, "--output", output]
            + options)
        #expect(run.status == 0, "\(run.error)")
        hashes.insert(try Self.sha256(ofFile: output))
      }
      #expect(hashes.count == 1)
    }
  }

  @Test func sameBytesFromHDF5AndSafetensors() throws {
    try SharedFiles.withTemporaryFolder { folder in
      // The source's format is part of the provenance, so the payloads are compared, not the file.
      var lists: [[JSONValue]] = []
      for (index, model) in ["model.h5", "model.safetensors"].enumerated() {
        let output = folder + "/\(index).h5"
        let run = try Program.run([
          "compress", "--preset", "w4", "--model", SharedFiles.fixture("nanollama/" + model),
          "--output", output, "--json",
        ])
        #expect(run.status == 0, "\(run.error)")
        let inspected = try Program.run(["inspect", output, "--json"])
        let tensors = try JSONParser.parse(inspected.output)["tensors"]?.array ?? []
        lists.append(tensors.sorted { ($0["name"]?.string ?? "") < ($1["name"]?.string ?? "") })
      }
      #expect(!lists[0].isEmpty)
      #expect(lists[0].map { $0["name"] } == lists[1].map { $0["name"] })
    }
  }

  @Test func anExistingOutputIsKept() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      try "precious".write(toFile: output, atomically: true, encoding: .utf8)
      let arguments = [
        "compress", Self.recipe("w4-rtn"), "--model", Self.model, "--output", output,
      ]
      let refused = try Program.run(arguments)
      #expect(refused.status == 2)
      #expect(refused.error.contains("--force"))
      #expect(try String(contentsOfFile: output, encoding: .utf8) == "precious")
      // Nothing was begun that could be resumed.
      let resumed = try Program.run(arguments + ["--resume"])
      #expect(resumed.status == 2 && resumed.error.contains("--force"), "\(resumed.error)")
      #expect(try String(contentsOfFile: output, encoding: .utf8) == "precious")
      #expect(try Program.run(arguments + ["--force"]).status == 0)
      #expect(try Program.run(["verify", output]).status == 0)
    }
  }

  @Test func tooLittleMemoryIsRefusedBeforeAnythingIsTouched() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      let run = try Program.run([
        "compress", Self.recipe("w4-rtn"), "--model", Self.model, "--output", output, "--memory",
        "1MiB",
      ])
      #expect(run.status == 4)
      #expect(run.error.contains("--memory"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func missedBoundsGiveExitCodeOneAndNames() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      let bounds = folder + "/bounds.yaml"
      #expect(
        try Program.run([
          "compress", "--preset", "w4", "--model", Self.model, "--output", output,
        ]).status == 0)
      try "total: {relative_error: 0.2}\n".write(toFile: bounds, atomically: true, encoding: .utf8)
      let arguments = ["validate", output, "--against", Self.model, "--bounds", bounds]
      #expect(try Program.run(arguments).status == 0)
      try "tensors: {relative_error: 0.0001}\n".write(
        toFile: bounds, atomically: true, encoding: .utf8)
      let missed = try Program.run(arguments)
      #expect(missed.status == 1)
      #expect(missed.error.contains("model.layers.0.mlp.down_proj.weight"))
    }
  }

  @Test func decompressGivesTheDenseModelBack() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      #expect(
        try Program.run([
          "compress", "--preset", "w8", "--model", Self.model, "--output", output,
        ]).status == 0)
      for target in ["dense.h5", "dense.safetensors", "dense"] {
        let path = folder + "/" + target
        let run = try Program.run(["decompress", output, path])
        #expect(run.status == 0, "\(run.error)")
        let validate = try Program.run(["validate", output, "--against", path, "--json", "-"])
        let error = try JSONParser.parse(validate.output)["totals"]?["error"]
        // Decoded weights against themselves: nothing is lost on the way out.
        #expect(error?["maximum_absolute"]?.double == 0)
      }
      #expect(FileManager.default.fileExists(atPath: folder + "/dense/config.json"))
      #expect(FileManager.default.fileExists(atPath: folder + "/dense/tokenizer.json"))
    }
  }

  @Test func validateMeasuresOutputsAndTheModelItself() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let model = SharedFiles.fixture("nanollama")
      let text = SharedFiles.fixture("text/heldout_publicdomain.txt")
      let statistics = folder + "/stats.h5"
      #expect(try Program.run(["calibrate", "--model", model, "--output", statistics]).status == 0)
      var figures: [JSONValue] = []
      for preset in ["w8", "w3"] {
        let output = folder + "/\(preset).h5"
        let run = try Program.run([
          "compress", "--preset", preset, "--model", model, "--output", output,
        ])
        #expect(run.status == 0, "\(run.error)")
        let validate = try Program.run([
          "validate", output, "--against", model, "--statistics", statistics, "--data", text,
          "--sequences", "64", "--json", "-",
        ])
        #expect(validate.status == 0, "\(validate.error)")
        figures.append(try JSONParser.parse(validate.output))
      }
      func output(_ record: JSONValue) -> [Double] {
        (record["tensors"]?.array ?? []).compactMap { $0["error"]?["output_relative"]?.double }
      }
      // Every compressed weight has an output error; fewer bits make each of them larger.
      #expect(output(figures[0]).count == 14 && output(figures[1]).count == 14)
      #expect(zip(output(figures[0]), output(figures[1])).allSatisfy { $0 * 5 < $1 })
      let ratios = figures.map { $0["model_figures"]?["perplexity_ratio"]?.double ?? 0 }
      #expect(abs(ratios[0] - 1) < 0.005)
      #expect(ratios[1] > 1.03)

      let bounds = folder + "/bounds.yaml"
      try "total: {perplexity_ratio: 1.02}\n".write(
        toFile: bounds, atomically: true, encoding: .utf8)
      let missing = try Program.run([
        "validate", folder + "/w3.h5", "--against", model, "--bounds", bounds,
      ])
      #expect(missing.status == 2 && missing.error.contains("--data"))
      let missed = try Program.run([
        "validate", folder + "/w3.h5", "--against", model, "--bounds", bounds, "--data", text,
        "--sequences", "64",
      ])
      #expect(missed.status == 1 && missed.error.contains("perplexity_ratio"))
    }
  }
}
