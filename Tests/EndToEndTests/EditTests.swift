import Foundation
import JSONText
import TestSupport
import Testing

/// Recipes that change the model around its weights, from calibration to what the model still says.
@Suite struct EditRecipeTests {
  private static let model = CompressTests.model

  /// Statistics, then an artefact and its record for each list of stages.
  private func artefacts(
    _ recipes: [String], calibrated: Bool = true, _ body: ([String], [JSONValue]) throws -> Void
  ) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let statistics = folder + "/statistics.h5"
      if calibrated {
        let run = try Program.run([
          "calibrate", "--model", Self.model, "--output", statistics, "--sequences", "64",
          "--length", "128",
        ])
        #expect(run.status == 0, "\(run.error)")
      }
      var outputs: [String] = []
      var records: [JSONValue] = []
      for (index, stages) in recipes.enumerated() {
        let recipe = folder + "/\(index).yaml"
        try
          ("version: 1\nname: t\nseed: 5\nstages:\n"
          + stages.split(separator: "|").map { "  -\($0)\n" }.joined()).write(
            toFile: recipe, atomically: true, encoding: .utf8)
        let output = folder + "/\(index).h5"
        let run = try Program.run(
          ["compress", recipe, "--model", Self.model, "--output", output, "--json"]
            + (calibrated ? ["--statistics", statistics] : []))
        #expect(run.status == 0, "\(run.error)")
        #expect(try Program.run(["verify", output]).status == 0)
        outputs.append(output)
        records.append(try JSONParser.parse(run.output))
      }
      try body(outputs, records)
    }
  }

  /// The mean divergence from the model, and the perplexity's ratio to it.
  private func losses(_ artefact: String) throws -> (divergence: Double, ratio: Double) {
    let run = try Program.run([
      "evaluate", "--model", artefact, "--reference", Self.model, "--data",
      SharedFiles.fixture("text/heldout_publicdomain.txt"), "--json",
    ])
    #expect(run.status == 0, "\(run.error)")
    let figures = try JSONParser.parse(run.output)["divergence"]
    return (
      figures?["kl_mean"]?["value"]?.double ?? .nan,
      figures?["perplexity_ratio"]?["value"]?.double ?? .nan
    )
  }

  @Test(arguments: [3, 4]) func awqBeatsRangesBeatsRounding(bits: Int) throws {
    let grid = "bits: \(bits), group: 64, symmetric: false"
    try artefacts([
      " quantize: {method: rtn, \(grid), clip: none}",
      " quantize: {method: rtn, \(grid), clip: mse}",
      " smooth: {method: awq}| quantize: {method: rtn, \(grid), clip: output}",
    ]) { outputs, records in
      let found = try outputs.map(losses)
      #expect(found[1].divergence < 0.95 * found[0].divergence)
      #expect(found[2].divergence < 0.95 * found[1].divergence)
      #expect(found[1].ratio < found[0].ratio && found[2].ratio < found[1].ratio)
      let edits = records[2]["edits"]?.array ?? []
      #expect(edits.count { $0.string?.hasPrefix("folded ") == true } >= 4)
    }
  }

  @Test func rotatedModelsSayTheSame() throws {
    let rotated = " rotate: {online: true}| quantize: {method: rtn, bits: 4, group: 32, clip: mse}"
    try artefacts(
      [
        " rotate: {}| quantize: {method: rtn, bits: 8, group: channel, clip: none}", rotated,
        rotated,
      ], calibrated: false
    ) { outputs, records in
      #expect(try losses(outputs[0]).divergence < 1e-3)
      #expect(try losses(outputs[1]).divergence < 0.05)
      #expect(
        try CompressTests.sha256(ofFile: outputs[1]) == CompressTests.sha256(ofFile: outputs[2]))
      #expect(records[1]["edits"]?.array?.isEmpty == false)
      // Turned weights have no error of their own against the model's; the report says so.
      let validate = try Program.run([
        "validate", outputs[1], "--against", Self.model, "--json", "-",
      ])
      #expect(validate.status == 0, "\(validate.error)")
      #expect(validate.output.contains("were edited"))
    }
  }

  @Test func smoothingGathersItsOwnStatistics() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let run = try Program.run([
        "compress", CompressTests.recipe("w8a8-smoothquant"), "--model", Self.model, "--output",
        folder + "/out.h5",
      ])
      #expect(run.status == 0, "\(run.error)")
      #expect(try Program.run(["verify", folder + "/out.h5"]).status == 0)
    }
  }

  @Test func sameBytesWithAnyWorkers() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let statistics = try CompressTests.statistics(for: "w4-awq", in: folder)
      var hashes: Set<String> = []
      for workers in 1...3 {
        let output = folder + "/\(workers).h5"
        let run = try Program.run(
          [
            "compress", CompressTests.recipe("w4-awq"), "--model", Self.model, "--output", output,
            "--workers", "\(workers)",
          ] + statistics)
        #expect(run.status == 0, "\(run.error)")
        hashes.insert(try CompressTests.sha256(ofFile: output))
      }
      #expect(hashes.count == 1)
    }
  }
}
