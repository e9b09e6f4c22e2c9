import Foundation
import TestSupport
import Testing

/// Kills at random moments, each followed by --resume: the same bytes as a run in peace.
@Suite(.serialized) struct ResumeTests {
  /// Twenty matrices with a decomposition each: a run that lasts long enough to be hit.
  private func arguments(_ folder: String, _ output: String, recipe: String = "w4-rtn-svd")
    -> [String]
  {
    [
      "compress", CompressTests.recipe(recipe), "--model", folder + "/model.safetensors",
      "--output", output, "--workers", "2",
    ]
  }

  @Test func killedRunsResumeToTheSameBytes() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try RandomModel.write(
        to: folder + "/model.safetensors", matrices: 20, rows: 512, columns: 256)
      let peaceful = folder + "/peaceful.h5"
      let clock = ContinuousClock.now
      #expect(try Program.run(arguments(folder, peaceful)).status == 0)
      let length = (ContinuousClock.now - clock) / 1
      let expected = try CompressTests.sha256(ofFile: peaceful)
      let count = Int(ProcessInfo.processInfo.environment["PITH_KILLS"] ?? "") ?? 8
      var generator = SystemRandomNumberGenerator()
      for kill in 0..<count {
        let output = folder + "/killed-\(kill).h5"
        try "old".write(toFile: output, atomically: true, encoding: .utf8)
        let running = try Program.start(arguments(folder, output) + ["--force"])
        let share = Double.random(in: 0...1, using: &generator)
        Thread.sleep(
          forTimeInterval: share
            * (Double(length.components.seconds)
              + Double(length.components.attoseconds) * 1e-18))
        if running.process.isRunning { Foundation.kill(running.process.processIdentifier, SIGKILL) }
        let result = try running.wait()
        if result.wasSignalled {
          // Until the rename the old output is whole.
          let old = try? String(contentsOfFile: output, encoding: .utf8)
          #expect(try old == "old" || CompressTests.sha256(ofFile: output) == expected)
        }
        // The same command: a kill may come before the work folder is there, or after it is gone.
        let resumed = try Program.run(arguments(folder, output) + ["--force", "--resume"])
        #expect(resumed.status == 0, "after \(share) of the run: \(resumed.error)")
        #expect(try CompressTests.sha256(ofFile: output) == expected, "killed after \(share)")
        #expect(!FileManager.default.fileExists(atPath: output + ".pith-work"))
      }
    }
  }

  @Test func aChangedRecipeIsRefusedAndNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      try RandomModel.write(
        to: folder + "/model.safetensors", matrices: 20, rows: 512, columns: 256)
      try Self.leaveUnfinishedRun(output, arguments(folder, output))
      let refused = try Program.run(arguments(folder, output, recipe: "w8-rtn") + ["--resume"])
      #expect(refused.status == 2)
      #expect(refused.error.contains("the recipe was"))
      let again = try Program.run(arguments(folder, output))
      #expect(again.status == 2)
      #expect(again.error.contains("--resume"))
      #expect(try Program.run(arguments(folder, output) + ["--resume"]).status == 0)
    }
  }

  @Test func aTornJournalLineIsPassedOver() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      try RandomModel.write(
        to: folder + "/model.safetensors", matrices: 20, rows: 512, columns: 256)
      try Self.leaveUnfinishedRun(output, arguments(folder, output))
      let journal = output + ".pith-work/journal.jsonl"
      let handle = try #require(FileHandle(forWritingAtPath: journal))
      handle.seekToEndOfFile()
      handle.write(Data("{\"name\":\"torn".utf8))
      handle.closeFile()
      let resumed = try Program.run(arguments(folder, output) + ["--resume"])
      #expect(resumed.status == 0, "\(resumed.error)")
      #expect(try Program.run(["verify", output]).status == 0)
    }
  }

  /// Stops a run politely right at its beginning, again and again until it leaves a journal.
  static func leaveUnfinishedRun(_ output: String, _ arguments: [String]) throws {
    for attempt in 1...20 {
      let running = try Program.start(arguments + ["--force"])
      while running.process.isRunning,
        !FileManager.default.fileExists(atPath: output + ".pith-work/journal.jsonl")
      {
        Thread.sleep(forTimeInterval: 0.001)
      }
      running.process.interrupt()
      let result = try running.wait()
      if result.status == 75 {
        #expect(result.error.contains("--resume"))
        return
      }
      try? FileManager.default.removeItem(atPath: output)
      if attempt == 20 { Issue.record("no run could be stopped in time: \(result.error)") }
    }
  }
}
