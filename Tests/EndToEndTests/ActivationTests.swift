import Foundation
import JSONText
import TestSupport
import Testing

/// Rounded activations and caches, from recipe to figures.
@Suite struct ActivationTests {
  private static let text = SharedFiles.fixture("text/heldout_publicdomain.txt")
  private static let model = SharedFiles.fixture("nanollama")

  private static func evaluate(_ model: String, _ more: [String] = []) throws -> JSONValue {
    let run = try Program.run(
      [
        "evaluate", "--model", model, "--data", text, "--reference", Self.model, "--sequences",
        "8", "--json",
      ] + more)
    #expect(run.status == 0, "\(run.error)")
    return try JSONParser.parse(run.output)
  }

  private static func divergence(_ report: JSONValue) -> Double {
    report["divergence"]?["kl_mean"]?["value"]?.double ?? .nan
  }

  private static func compressed(
    _ recipe: String, in folder: String, _ more: [String] = []
  ) throws -> String {
    let output = folder + "/\(recipe.split(separator: "/").last ?? "out").h5"
    let run = try Program.run(
      ["compress", recipe, "--model", model, "--output", output] + more)
    #expect(run.status == 0, "\(run.error)")
    return output
  }

  @Test func recipesSayWhatEveryRunRounds() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var losses: [String: Double] = [:]
      for (name, activations, cache) in [
        ("w8a8", "int8/token (14 of 14 linear layers)", nil),
        ("w4a8", "int8/token (14 of 14 linear layers)", nil),
        ("w4a4", "nvfp4 (14 of 14 linear layers)", nil),
        ("kv4", nil, "4 bits, keys per channel, groups of 32, 32 exact"),
      ] as [(String, String?, String?)] {
        let output = try Self.compressed(CompressTests.recipe(name), in: folder)
        let report = try Self.evaluate(output)
        #expect(report["model"]?["activations"]?.string == activations)
        #expect(report["model"]?["kv_cache"]?.string == cache)
        losses[name] = Self.divergence(report)
        #expect(try Program.run(["verify", output]).status == 0)
        let checked = try Program.run([
          "validate", output, "--against", Self.model, "--json", "-",
        ])
        #expect(activations == nil || checked.output.contains("inputs "), "\(checked.output)")
      }
      #expect((losses["w8a8"] ?? 1) < 0.01 && (losses["kv4"] ?? 1) < 0.02)
      #expect((losses["w4a4"] ?? 0) > 1.2 * (losses["w4a8"] ?? 1))
      let text = try Program.run([
        "generate", "--model", folder + "/kv4.yaml.h5", "--prompt", "The", "--tokens", "48",
      ])
      #expect(text.status == 0 && text.output.count > 40, "\(text.error)")
    }
  }

  /// Plans name the rounding of keys and values, validation measures it.
  @Test func cachesArePlannedAndMeasured() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let plan = try Program.run([
        "plan", CompressTests.recipe("kv4"), "--model", Self.model,
      ])
      #expect(
        plan.output.contains(
          """
          cache:   4 bits, keys per channel, groups of 32, 32 exact
                   128 tokens: 32.0 KiB as f16, 16.2 KiB rounded, 5.50 bits a number
          """), "\(plan.output) \(plan.error)")
      let stored = try Program.run([
        "plan", CompressTests.recipe("kv8-static"), "--model", Self.model, "--json",
      ])
      let cache = try JSONParser.parse(stored.output)["kv_cache"]
      #expect(cache?["scheme"]?.string == "fp8_e4m3, a stored scale a layer")
      #expect(cache?["stored_bytes"]?.int == 128 * 128 + 2 * 8)

      // Weights of 8 bits cost next to nothing, keys and values of 2 bits a lot.
      let recipe = folder + "/kv2.yaml"
      try """
      version: 1
      name: kv2
      kv_cache: {bits: 2, group: 16, residual: 8}
      stages:
        - quantize: {method: rtn, bits: 8, group: 128}
      """.write(toFile: recipe, atomically: true, encoding: .utf8)
      let output = try Self.compressed(recipe, in: folder)
      let bounds = folder + "/bounds.yaml"
      func validate(_ limits: String) throws -> (status: Int32, figures: JSONValue, error: String) {
        try "total: {\(limits)}\n".write(toFile: bounds, atomically: true, encoding: .utf8)
        let run = try Program.run([
          "validate", output, "--against", Self.model, "--data", Self.text, "--sequences", "8",
          "--bounds", bounds, "--json", "-",
        ])
        return (run.status, try JSONParser.parse(run.output), run.error)
      }
      let good = try validate("cache_bits: 4, cache_kl: 0.01")
      #expect(good.status == 0, "\(good.error)")
      #expect(good.figures["kv_cache"]?["bits_per_number"]?.double == 4)
      let figures = try #require(good.figures["model_figures"])
      let (with, without) = (
        figures["kl_mean"]?.double ?? .nan, figures["kl_mean_exact_cache"]?.double ?? .nan
      )
      #expect(without > 0 && with > 10 * without, "\(with) \(without)")
      let missed = try validate("cache_bits: 3.9, cache_kl: \((with - without) / 2)")
      #expect(missed.status == 1)
      #expect(missed.error.contains("cache_bits is 4.0") && missed.error.contains("cache_kl is"))
    }
  }

  @Test func optionsStandInPlaceOfWhatTheModelSays() throws {
    let int8 = try Self.evaluate(Self.model, ["--activations", "int8"])
    #expect(int8["model"]?["activations"]?.string == "int8/token (14 of 14 linear layers)")
    let int4 = try Self.evaluate(Self.model, ["--activations", "int4"])
    #expect(Self.divergence(int8) > 0 && Self.divergence(int8) < 0.002)
    #expect(Self.divergence(int4) > 30 * Self.divergence(int8))
    let channel = try Self.divergence(Self.evaluate(Self.model, ["--kv", "int2"]))
    let coarse = try Self.divergence(Self.evaluate(Self.model, ["--kv", "int2/token"]))
    #expect(channel > 0 && channel != coarse)
    for wrong in [["--activations", "int9"], ["--kv", "int1"]] {
      let run = try Program.run(
        ["evaluate", "--model", Self.model, "--data", Self.text] + wrong)
      #expect(run.status == 2 && run.error.contains("expected") || run.error.contains("2 to 8"))
    }
  }

  @Test func oneRangeForATensorNeedsStatistics() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let recipe = folder + "/static.yaml"
      try """
      version: 1
      name: static
      stages:
        - quantize: {method: rtn, bits: 8, group: channel}
        - activations: {format: int8, granularity: tensor}
      """.write(toFile: recipe, atomically: true, encoding: .utf8)
      // Without a file the run gathers what it needs.
      let own = try Program.run([
        "compress", recipe, "--model", Self.model, "--output", folder + "/own.h5",
      ])
      #expect(own.status == 0, "\(own.error)")
      let statistics = folder + "/statistics.h5"
      let calibrate = try Program.run([
        "calibrate", "--model", Self.model, "--output", statistics, "--sequences", "16",
        "--length", "64",
      ])
      #expect(calibrate.status == 0, "\(calibrate.error)")
      let output = try Self.compressed(recipe, in: folder, ["--statistics", statistics])
      let loss = try Self.divergence(Self.evaluate(output))
      // Coarser than a range per token, and still 8 bits.
      let token = try Self.divergence(
        Self.evaluate(Self.compressed(CompressTests.recipe("w8a8"), in: folder)))
      #expect(loss > token && loss < 0.05)
    }
  }
}
