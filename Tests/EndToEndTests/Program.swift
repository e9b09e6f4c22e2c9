import Foundation
import TestSupport
import Testing

/// The built program, run as a user runs it.
enum Program {
  /// What one run left.
  struct Result {
    let status: Int32
    let output: String
    let error: String
    /// Whether a signal ended the process: a crash.
    let wasSignalled: Bool
  }

  /// The release binary beside the test bundle; `PITH_BINARY` names another.
  static let path: String = {
    if let path = ProcessInfo.processInfo.environment["PITH_BINARY"] { return path }
    let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
    let candidates = [
      folder + "/pith", SharedFiles.repository + "/.build/release/pith",
    ]
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? candidates[1]
  }()

  /// Runs the program to its end.
  @discardableResult
  static func run(
    _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil,
    executable: String = Program.path
  ) throws -> Result {
    try Running(arguments, environment, folder, executable: executable).wait()
  }

  /// Starts the program and returns at once.
  static func start(
    _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil
  ) throws -> Running { try Running(arguments, environment, folder) }

  /// A process whose output goes to files: pipes would fill and block it.
  final class Running {
    let process = Process()
    private let outputPath: String
    private let errorPath: String

    init(
      _ arguments: [String], _ environment: [String: String], _ folder: String?,
      executable: String = Program.path
    ) throws {
      let stem = NSTemporaryDirectory() + "pith-run-" + UUID().uuidString
      (outputPath, errorPath) = (stem + ".out", stem + ".err")
      for path in [outputPath, errorPath] {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
      }
      process.executableURL = URL(fileURLWithPath: executable)
      process.arguments = arguments
      process.currentDirectoryURL = URL(fileURLWithPath: folder ?? SharedFiles.repository)
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
      process.standardOutput = FileHandle(forWritingAtPath: outputPath)
      process.standardError = FileHandle(forWritingAtPath: errorPath)
      process.standardInput = FileHandle.nullDevice
      try process.run()
    }

    func wait() throws -> Result {
      process.waitUntilExit()
      defer {
        for path in [outputPath, errorPath] { try? FileManager.default.removeItem(atPath: path) }
      }
      return Result(
        status: process.terminationStatus,
        output: try String(contentsOfFile: outputPath, encoding: .utf8),
        error: try String(contentsOfFile: errorPath, encoding: .utf8),
        wasSignalled: process.terminationReason == .uncaughtSignal)
    }
  }
}

/// Whole outputs kept in fixtures/golden and compared letter by letter.
///
/// With PITH_RECORD=1 the files are written anew, and the run fails, so that a recording can never
/// pass by accident.
enum Golden {
  static func expect(
    _ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let path = SharedFiles.fixture("golden/" + name)
    if ProcessInfo.processInfo.environment["PITH_RECORD"] == "1" {
      try FileManager.default.createDirectory(
        atPath: SharedFiles.fixture("golden"), withIntermediateDirectories: true)
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      Issue.record(
        "recorded \(name); run again without PITH_RECORD", sourceLocation: sourceLocation)
      return
    }
    let expected = try String(contentsOfFile: path, encoding: .utf8)
    if text != expected {
      Issue.record(
        "differs from fixtures/golden/\(name):\n\(difference(expected, text))",
        sourceLocation: sourceLocation)
    }
  }

  /// The first line that differs, both sides.
  private static func difference(_ expected: String, _ found: String) -> String {
    let left = expected.split(separator: "\n", omittingEmptySubsequences: false)
    let right = found.split(separator: "\n", omittingEmptySubsequences: false)
    for index in 0..<max(left.count, right.count) {
      let expected = index < left.count ? left[index] : "(no line)"
      let found = index < right.count ? right[index] : "(no line)"
      if expected != found { return "line \(index + 1)\nexpected: \(expected)\nfound:    \(found)" }
    }
    return "(no line differs)"
  }
}
