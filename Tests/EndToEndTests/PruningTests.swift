import Foundation
import JSONText
import TestSupport
import Testing

/// Pruned models from checkpoint to figures.
@Suite(
  "Pruning, end to end",
  .enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"))
struct PruningTests {
  static let model = CompressTests.model

  /// Perplexities of recipes on the nano model, its own statistics used throughout.
  ///
  /// - Parameter inTheRun: those that calibrate themselves, on the same text.
  private func perplexities(
    _ stages: [String], inTheRun: Set<Int> = []
  ) throws -> [Double] {
    let texts = try #require(SharedFiles.shared) + "/text/"
    return try SharedFiles.withTemporaryFolder { folder in
      // Of the text that the model was trained on: too few rows, and corrections fit their noise.
      let path = folder + "/statistics.h5"
      let gathered = try Program.run([
        "calibrate", "--model", Self.model, "--data", texts + "train_publicdomain.txt",
        "--output", path, "--sequences", "256", "--length", "128",
      ])
      #expect(gathered.status == 0, "\(gathered.error)")
      let statistics = ["--statistics", path]
      return try stages.enumerated().map { index, lines in
        let recipe = folder + "/r\(index).yaml"
        try "version: 1\nname: r\nstages:\n\(lines)\n".write(
          toFile: recipe, atomically: true, encoding: .utf8)
        let output = folder + "/\(index).h5"
        let text = [
          "--calibration", texts + "train_publicdomain.txt", "--sequences", "256", "--length",
          "128",
        ]
        let run = try Program.run(
          ["compress", recipe, "--model", Self.model, "--output", output]
            + (inTheRun.contains(index) ? text : statistics))
        #expect(run.status == 0, "\(run.error)")
        let verify = try Program.run(["verify", output])
        #expect(verify.status == 0, "\(verify.error)")
        let evaluate = try Program.run([
          "evaluate", "--model", output, "--data", texts + "heldout_publicdomain.txt",
          "--sequences", "64", "--length", "128",
          "--json",
        ])
        #expect(evaluate.status == 0, "\(evaluate.error)")
        return Self.perplexity(try JSONParser.parse(evaluate.output))
      }
    }
  }

  private static func perplexity(_ value: JSONValue) -> Double {
    if let found = value["perplexity"]?["value"]?.double ?? value["perplexity"]?.double {
      return found
    }
    for (_, member) in value.object?.members ?? [] where member.object != nil {
      let found = perplexity(member)
      if found.isFinite { return found }
    }
    return .infinity
  }

  @Test func calibratedMasksBeatMagnitudes() throws {
    let found = try perplexities([
      "  - prune: {method: magnitude, sparsity: 0.5}",
      "  - prune: {method: wanda, sparsity: 0.5}",
      "  - prune: {method: sparsegpt, sparsity: 0.5}",
    ])
    #expect(found[1] < found[0] && found[2] < found[1], "\(found)")
  }

  @Test func verifyCountsEveryMask() throws {
    try SharedFiles.withTemporaryFolder { folder in
      for (stages, lines) in [
        (
          "  - prune: {method: magnitude, pattern: \"2:4\"}\n  - quantize: {method: rtn, bits: 4, group: 64}",
          [
            "model.layers.0.mlp.up_proj.weight: 6144 of 12288 entries zero (50.00 %), the pattern in each of 3072 groups",
            "14 weights pruned to 2:4: ",
          ]
        ),
        (
          "  - prune: {method: magnitude, sparsity: 0.3, scope: row}",
          [
            "model.layers.0.mlp.up_proj.weight: 3648 of 12288 entries zero (29.69 %)",
            "14 weights pruned to 0.3 of the row: ",
          ]
        ),
        (
          "  - prune: {method: magnitude, sparsity: 0.95}",
          [
            "model.layers.0.mlp.up_proj.weight: 11674 of 12288 entries zero (95.00 %)",
            "14 weights pruned to 0.95 of the matrix: ",
          ]
        ),
      ] {
        let recipe = folder + "/r.yaml"
        try "version: 1\nname: r\nstages:\n\(stages)\n".write(
          toFile: recipe, atomically: true, encoding: .utf8)
        let output = folder + "/out.h5"
        let run = try Program.run([
          "compress", recipe, "--model", Self.model, "--output", output, "--force",
        ])
        #expect(run.status == 0, "\(run.error)")
        let verify = try Program.run(["verify", output, "--sparsity"])
        #expect(verify.status == 0, "\(verify.error)")
        for line in lines { #expect(verify.output.contains(line), "\(verify.output)") }
      }
    }
  }

  @Test func measuredSharesBeatEqualOnes() throws {
    let found = try perplexities([
      "  - prune: {method: sparsegpt, sparsity: 0.65}",
      "  - prune: {method: sparsegpt, sparsity: 0.65, allocation: adaptive}",
    ])
    #expect(found[1] < found[0], "\(found)")
  }

  @Test func theRestMakesGoodWhatLeaves() throws {
    let found = try perplexities(
      [
        "  - prune: {method: magnitude, sparsity: 0.01}",
        "  - narrow: {feed_forward: 0.75, correct: false}",
        "  - narrow: {feed_forward: 0.75}",
        "  - narrow: {heads: 0.5, feed_forward: 0.9}\n  - quantize: {method: gptq, bits: 8}",
        "  - narrow: {feed_forward: 0.75}",
        "  - narrow: {heads: 0.5, feed_forward: 0.9}\n  - quantize: {method: gptq, bits: 8}",
      ], inTheRun: [4, 5])
    let rises = found.map { Foundation.log($0 / found[0]) }
    #expect(rises[2] < 0.85 * rises[1], "\(found)")
    #expect(rises[3].isFinite)
    // On the way through the narrowed model, up maps fitted too: the bar is 0.75 of plain removal's
    // rise, which statistics of the dense model hardly reach.
    #expect(rises[4] < 0.7 * rises[1] && rises[4] < 0.92 * rises[2], "\(found)")
    #expect(rises[5] < rises[3], "\(found)")
  }

  @Test func narrowingOnTheWayIsDeterministicAndDropsBlocks() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let recipe = folder + "/r.yaml"
      try
        "version: 1\nname: r\nstages:\n  - narrow: {feed_forward: 0.5, heads: 0.5, drop_blocks: 1}\n"
        .write(toFile: recipe, atomically: true, encoding: .utf8)
      var bytes: [Data] = []
      for workers in ["1", "2"] {
        let output = folder + "/out\(workers).h5"
        let run = try Program.run([
          "compress", recipe, "--model", Self.model, "--output", output, "--workers", workers,
          "--sequences", "16", "--length", "64",
        ])
        #expect(run.status == 0, "\(run.error)")
        let verify = try Program.run(["verify", output])
        #expect(verify.status == 0, "\(verify.error)")
        bytes.append(try Data(contentsOf: URL(fileURLWithPath: output)))
      }
      #expect(bytes[0] == bytes[1])
    }
  }

  @Test func aNarrowedModelBecomesAFolder() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let statistics = try CompressTests.statistics(for: "width75", in: folder)
      let recipe = folder + "/r.yaml"
      try
        "version: 1\nname: r\nstages:\n  - narrow: {feed_forward: 0.5, heads: 0.5, drop_blocks: 1}\n"
        .write(toFile: recipe, atomically: true, encoding: .utf8)
      let output = folder + "/out.h5"
      let run = try Program.run(
        ["compress", recipe, "--model", Self.model, "--output", output] + statistics)
      #expect(run.status == 0, "\(run.error)")
      let dense = folder + "/dense"
      let decompress = try Program.run(["decompress", output, dense])
      #expect(decompress.status == 0, "\(decompress.error)")
      let text = try String(contentsOfFile: dense + "/config.json", encoding: .utf8)
      let configuration = try JSONParser.parse(text)
      #expect(configuration["intermediate_size"]?.int == 96)
      #expect(configuration["num_key_value_heads"]?.int == 1)
      #expect(configuration["num_attention_heads"]?.int == 2)
      #expect(configuration["num_hidden_layers"]?.int == 1)
      let shared = try #require(SharedFiles.shared)
      let evaluate = try Program.run([
        "evaluate", "--model", dense, "--data", shared + "/text/heldout.txt", "--sequences", "2",
        "--length", "64",
      ])
      #expect(evaluate.status == 0, "\(evaluate.error)")
    }
  }
}
