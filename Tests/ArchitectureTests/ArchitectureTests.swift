import Foundation
import TestSupport
import Testing

/// The rooms' arrows: docs/architecture.md is the law, Package.swift and the imports obey it.
@Suite struct ArchitectureTests {
  private func repositoryFile(_ path: String) throws -> String {
    try String(contentsOfFile: SharedFiles.repository + "/" + path, encoding: .utf8)
  }

  /// Imports of every source file below Sources/, by room.
  private func importsByRoom() throws -> [String: Set<String>] {
    var result: [String: Set<String>] = [:]
    let sources = SharedFiles.repository + "/Sources"
    for room in try FileManager.default.contentsOfDirectory(atPath: sources) {
      var imports: Set<String> = []
      let files = FileManager.default.enumerator(atPath: sources + "/" + room)
      while let file = files?.nextObject() as? String {
        guard file.hasSuffix(".swift") else { continue }
        imports.formUnion(RoomRules.imports(of: try repositoryFile("Sources/\(room)/\(file)")))
      }
      result[room] = imports
    }
    return result
  }

  @Test func everyArrowGoesDown() throws {
    let violations = RoomRules.violations(
      floors: RoomRules.floors(ofPage: try repositoryFile("docs/architecture.md")),
      dependencies: RoomRules.dependencies(ofManifest: try repositoryFile("Package.swift")),
      imports: try importsByRoom())
    #expect(violations == [], "\(violations.joined(separator: "\n"))")
  }

  @Test func theManifestIsReadWhole() throws {
    let dependencies = RoomRules.dependencies(ofManifest: try repositoryFile("Package.swift"))
    let folders = try FileManager.default.contentsOfDirectory(
      atPath: SharedFiles.repository + "/Sources")
    #expect(Set(dependencies.keys) == Set(folders))
    #expect(dependencies["Weights"]?.contains("Kernels") == true)
  }

  /// The check has power: each kind of wrong arrow is found.
  @Test func wrongArrowsAreFound() {
    let floors = ["Low": 1, "Middle": 2, "High": 3]
    func violations(_ dependencies: [String: Set<String>], _ imports: [String: Set<String>]) -> Int
    {
      RoomRules.violations(floors: floors, dependencies: dependencies, imports: imports).count
    }
    let good: [String: Set<String>] = ["Low": [], "Middle": ["Low"], "High": ["Middle"]]
    #expect(violations(good, ["High": ["Middle", "Foundation"]]) == 0)
    #expect(violations(good, ["High": ["Low"]]) == 1, "an import that is not declared")
    #expect(
      violations(["Low": ["High"], "Middle": [], "High": []], [:]) == 1, "an arrow upwards")
    #expect(violations(["Unlisted": [], "Low": []], [:]) == 1, "a room without a floor")
    #expect(violations(["Low": ["Low"]], [:]) == 1, "a room that imports itself")
  }

  /// Files stay small: 400 lines are an alarm in review, 700 a failure.
  @Test func noFileIsTooLong() throws {
    let files = FileManager.default.enumerator(atPath: SharedFiles.repository + "/Sources")
    var counted = 0
    while let file = files?.nextObject() as? String {
      guard file.hasSuffix(".swift") || file.hasSuffix(".cc") else { continue }
      let lines = try repositoryFile("Sources/" + file).split(
        separator: "\n", omittingEmptySubsequences: false
      ).count
      counted += 1
      #expect(lines <= 700, "\(file) has \(lines) lines")
    }
    #expect(counted > 50)
  }
}
