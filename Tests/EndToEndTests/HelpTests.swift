import Foundation
import TestSupport
import Testing

/// What people read first, kept letter by letter.
@Suite struct HelpTests {
  @Test(arguments: [
    "inspect", "convert", "plan", "compress", "validate", "verify", "decompress", "recipe",
    "evaluate", "compare", "calibrate", "generate", "finetune", "replay", "log", "search",
  ])
  func helpOfACommand(_ command: String) throws {
    let run = try Program.run([command, "--help"], environment: ["COLUMNS": "80"])
    #expect(run.status == 0)
    try Golden.expect(run.output, "help-\(command).txt")
  }

  @Test func helpOfTheProgram() throws {
    let run = try Program.run(["--help"], environment: ["COLUMNS": "80"])
    #expect(run.status == 0)
    try Golden.expect(run.output, "help.txt")
  }

  @Test(arguments: [
    [], ["compress"], ["compres"], ["plan", "--preset", "w4"],
    [
      "compress", "--preset", "w99",
      "--model", "x", "--output", "y",
    ], ["inspect"],
  ])
  func wrongUsageExitsWithTwo(_ arguments: [String]) throws {
    let run = try Program.run(arguments)
    // Without any argument the help is shown, which is no mistake.
    #expect(run.status == (arguments.isEmpty ? 0 : 2), "\(arguments): \(run.error)")
    #expect(!run.wasSignalled)
  }

  @Test func planOfTheNanoModel() throws {
    let run = try Program.run(
      ["plan", "--preset", "w4", "--model", "fixtures/nanollama/model.h5", "--workers", "2"])
    #expect(run.status == 0, "\(run.error)")
    let stable = run.output.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.hasPrefix("memory:") && !$0.hasPrefix("time:") }.joined(separator: "\n")
    try Golden.expect(stable, "plan-nano-w4.txt")
  }
}
