import Digests
import Foundation
import JSONText
import TestSupport
import Testing

/// Tuning as a user runs it: the command, the recipe's stage, logs and what is wrong with them.
@Suite struct FinetuneTests {
  private static let model = SharedFiles.fixture("nanollama")
  private static let text = SharedFiles.fixture("text/heldout_publicdomain.txt")

  /// A folder with the model at 2 bits.
  private func folder() throws -> String {
    let folder = NSTemporaryDirectory() + "pith-finetune-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let run = try Program.run(
      ["compress", "--preset", "w2", "--model", Self.model, "--output", folder + "/w2.h5"])
    #expect(run.status == 0, "\(run.error)")
    return folder
  }

  private func finetune(
    _ folder: String, _ output: String, _ more: [String] = [], steps: Int = 6
  ) -> [String] {
    [
      "finetune", folder + "/w2.h5", "--teacher", Self.model, "--data", Self.text,
      "--windows", "64", "--held-out-count", "8", "--batch", "4", "--probes", "2",
      "--steps", "\(steps)", "--evaluate-every", "3", "--output", folder + "/" + output,
    ] + more
  }

  private func hash(_ path: String) throws -> String {
    try CompressTests.sha256(ofFile: path)
  }

  @Test func tuningReplayingAndLooking() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let one = try Program.run(finetune(folder, "a.h5", ["--workers", "1"]))
    #expect(one.status == 0, "\(one.error)")
    #expect(one.output.contains("held out: loss"))
    #expect(try Program.run(finetune(folder, "b.h5", ["--workers", "2"])).status == 0)
    #expect(try hash(folder + "/a.h5") == hash(folder + "/b.h5"))
    #expect(try hash(folder + "/a.h5.zolog") == hash(folder + "/b.h5.zolog"))

    let replay = try Program.run([
      "replay", folder + "/w2.h5", folder + "/a.h5.zolog", "--output", folder + "/c.h5",
    ])
    #expect(replay.status == 0, "\(replay.error)")
    #expect(try hash(folder + "/a.h5") == hash(folder + "/c.h5"))

    let shown = try Program.run(["log", "show", folder + "/a.h5.zolog"])
    #expect(shown.status == 0)
    for part in ["done: 6 of 6 steps", "loss of steps", "held-out loss", "█"] {
      #expect(shown.output.contains(part))
    }
    #expect(try Program.run(["verify", folder + "/a.h5"]).status == 0)
    let again = try Program.run(finetune(folder, "a.h5"))
    #expect(again.status == 2, "an output that exists is not replaced")
  }

  /// A run killed at any moment goes on to the same bytes.
  @Test func killedRunsGoOn() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try Program.run(finetune(folder, "whole.h5", steps: 60)).status == 0)
    let whole = try hash(folder + "/whole.h5")
    let kills = Int(ProcessInfo.processInfo.environment["PITH_KILLS"] ?? "") ?? 3
    for number in 0..<kills {
      let name = "killed\(number).h5"
      let running = try Program.start(finetune(folder, name, steps: 60))
      // Until it has begun: then a little longer, differently each time.
      let log = folder + "/\(name).zolog"
      for _ in 0..<1000 where !FileManager.default.fileExists(atPath: log) { usleep(5_000) }
      usleep(UInt32(20_000 + 37_000 * number % 400_000))
      kill(running.process.processIdentifier, SIGKILL)
      _ = try running.wait()
      let again = try Program.run(finetune(folder, name, ["--resume", "--force"], steps: 60))
      #expect(again.status == 0, "\(again.error)")
      #expect(try hash(folder + "/" + name) == whole)
    }
  }

  /// The recipes that end with tuning.
  static let recipes = [
    "qzo-repair-kl", "qzo-sentiment", "zo-adam", "mezo-dense", "sparse-mezo", "mezo-lora-pissa",
  ]

  /// Each as it stands but for its texts, the number of its steps, and a first block that the
  /// model has.
  @Test(arguments: recipes)
  func everyTuningRecipeRuns(_ name: String) throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let records = (0..<40).map { "{\"text\": \"number \($0)\", \"label\": \($0 % 2)}" }
    try records.joined(separator: "\n").write(
      toFile: folder + "/r.jsonl", atomically: true, encoding: .utf8)
    let text = try String(contentsOfFile: CompressTests.recipe(name), encoding: .utf8)
      .replacing("train.txt", with: Self.text)
      .replacing("sentiment_train.jsonl", with: folder + "/r.jsonl")
      .replacing("held_out: sentiment_valid.jsonl", with: "held_out: \(folder)/r.jsonl")
      .replacing(/steps: \d+/, with: "steps: 2")
      .replacing(/first_block: \d+/, with: "first_block: 1")
    try text.write(toFile: folder + "/r.yaml", atomically: true, encoding: .utf8)
    var arguments = [
      "compress", folder + "/r.yaml", "--model", Self.model, "--output", folder + "/t.h5",
    ]
    if text.contains("refit") {
      let statistics = folder + "/statistics.h5"
      #expect(
        try Program.run([
          "calibrate", "--model", Self.model, "--output", statistics, "--sequences", "16",
          "--length", "64",
        ]).status == 0)
      arguments += ["--statistics", statistics]
    }
    let run = try Program.run(arguments)
    #expect(run.status == 0, "\(run.error)")
    #expect(try Program.run(["verify", folder + "/t.h5"]).status == 0)
    #expect(FileManager.default.fileExists(atPath: folder + "/t.h5.zolog"))
  }

  @Test func aRecipeMayEndWithTuning() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let recipe = """
      version: 1
      name: tuned
      stages:
        - quantize: {method: rtn, bits: 2, group: 32}
        - finetune: {method: qzo, objective: lm, data: \(Self.text), steps: 3, batch: 2, windows: 32}
      """
    try recipe.write(toFile: folder + "/r.yaml", atomically: true, encoding: .utf8)
    let run = try Program.run([
      "compress", folder + "/r.yaml", "--model", Self.model, "--output", folder + "/t.h5",
    ])
    #expect(run.status == 0, "\(run.error)")
    #expect(try Program.run(["verify", folder + "/t.h5"]).status == 0)
    let replay = try Program.run([
      "replay", folder + "/t.base.h5", folder + "/t.h5.zolog", "--output", folder + "/u.h5",
    ])
    #expect(replay.status == 0, "\(replay.error)")
    #expect(try hash(folder + "/t.h5") == hash(folder + "/u.h5"))
  }

  /// Plain weights of a folder, and factors over codes.
  @Test func otherParametersAreTuned() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let dense = try Program.run([
      "finetune", Self.model, "--method", "sparse-mezo", "--data", Self.text, "--windows", "32",
      "--steps", "2", "--batch", "2", "--probes", "2", "--output", folder + "/dense.safetensors",
    ])
    #expect(dense.status == 0, "\(dense.error)")
    #expect(
      try Program.run(
        ["compress", "--preset", "svd-w4", "--model", Self.model, "--output", folder + "/svd.h5"]
      ).status == 0)
    let factors = try Program.run([
      "finetune", folder + "/svd.h5", "--method", "lora", "--parameters", "low_rank,norms,scales",
      "--data", Self.text, "--windows", "32", "--steps", "2", "--batch", "2", "--probes", "2",
      "--distribution", "low_rank", "--output", folder + "/lora.h5",
    ])
    #expect(factors.status == 0, "\(factors.error)")
    #expect(try Program.run(["verify", folder + "/lora.h5"]).status == 0)
  }

  /// A model four times the cap goes through memory block by block; the same bytes as without one,
  /// and more memory without one.
  @Test func modelsBeyondTheCapAreTuned() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try RandomModel.writeLlama(
        to: folder + "/model", width: 512, layers: 24, tokenizer: Self.model + "/tokenizer.json")
      let compressed = try Program.run([
        "compress", "--preset", "w8", "--model", folder + "/model", "--output", folder + "/m.h5",
        "--no-fsync",
      ])
      #expect(compressed.status == 0, "\(compressed.error)")
      try FileManager.default.removeItem(atPath: folder + "/model/model.safetensors")
      let size = try #require(
        try FileManager.default.attributesOfItem(atPath: folder + "/m.h5")[.size] as? Int)
      let cap = 24 << 20
      #expect(size > 4 * cap)
      func peak(_ name: String, _ more: [String]) throws -> Int {
        let run = try Program.run(
          [
            "finetune", folder + "/m.h5", "--objective", "lm", "--data", Self.text, "--windows",
            "16", "--held-out-count", "1", "--length", "8", "--batch", "2", "--probes", "1",
            "--steps", "1", "--workers", "1", "--json", "--output", folder + "/" + name,
          ] + more)
        #expect(run.status == 0, "\(run.error)")
        let result = try JSONParser.parse(run.output)
        return try #require(result["peak_resident_bytes"]?.int)
      }
      let (free, capped) = (
        try peak("a.h5", []), try peak("b.h5", ["--memory", "24MiB"])
      )
      #expect(try hash(folder + "/a.h5") == hash(folder + "/b.h5"))
      // The scales' masters and origins, the embedding that is the head, and the program itself.
      let scales = 24 * 12 * 512 * 512 / 128
      let bound = Double(cap + 4 * scales * 4 + 2048 * 512 * 2 + 64 << 20) * 1.1
      #expect(Double(capped) < bound)
      #expect(Double(free) > bound)
    }
  }

  @Test func whatIsWrongIsSaid() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func expect(_ arguments: [String], _ status: Int32, _ text: String) throws {
      let run = try Program.run(arguments)
      #expect(run.status == status, "\(run.error)")
      #expect(run.error.contains(text), "\(run.error)")
    }
    let base = folder + "/w2.h5"
    let records = folder + "/r.jsonl"
    let lines = (0..<30).map { "{\"text\": \"number \($0)\", \"label\": \($0 % 3)}" }
    try lines.joined(separator: "\n").write(toFile: records, atomically: true, encoding: .utf8)
    let plain = ["finetune", base, "--data", records, "--output", folder + "/x.h5"]
    try expect(plain + ["--template", "{text} is{ even| odd}"], 3, "label")
    try expect(plain + ["--template", "It is{ even| odd}"], 2, "slot")
    try expect(plain + ["--template", "{text} is{| odd}"], 2, "empty option")
    let overlapping = try Program.run([
      "finetune", base, "--data", records, "--held-out", records, "--steps", "1",
      "--template", "{text} is{ even| odd| both}", "--output", folder + "/z.h5",
    ])
    #expect(overlapping.status == 0)
    #expect(overlapping.error.contains("30 of 30 held-out examples are among those learnt from"))
    try expect(plain + ["--objective", "kl"], 2, "--teacher")
    try expect(plain + ["--method", "mezzo"], 2, "there is no method")
    try expect(plain + ["--parameters", "low_rank"], 2, "no parameters")
    try "".write(toFile: folder + "/empty.txt", atomically: true, encoding: .utf8)
    try expect(
      ["finetune", base, "--data", folder + "/empty.txt", "--output", folder + "/x.h5"], 3, "empty")
    #expect(try Program.run(finetune(folder, "a.h5", steps: 1)).status == 0)
    try expect(
      ["replay", folder + "/a.h5", folder + "/a.h5.zolog", "--output", folder + "/y.h5"], 3,
      "belongs to another base")
    try expect(
      ["replay", base, records, "--output", folder + "/y.h5"], 3, "no seed log")
    let other = try Program.run(
      finetune(folder, "a.h5", ["--resume", "--force", "--seed", "5"], steps: 1))
    #expect(other.status == 2)
    #expect(other.error.contains("another run"))
  }
}
