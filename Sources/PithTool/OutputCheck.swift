import Foundation

/// Whether a command may write where it was told to.
enum OutputCheck {
  static func mayWrite(_ output: String, force: Bool, inputs: [String]) throws {
    let target = URL(fileURLWithPath: output).resolvingSymlinksInPath().path
    for input in inputs
    where URL(fileURLWithPath: input).resolvingSymlinksInPath().path == target {
      throw UsageError("the output '\(output)' is the input itself; choose another name")
    }
    guard force || !FileManager.default.fileExists(atPath: output) else {
      throw UsageError("'\(output)' exists; pass --force to replace it")
    }
  }
}
