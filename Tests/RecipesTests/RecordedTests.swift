import Foundation
import Recipes
import TestSupport
import Testing

/// Texts that people read, compared whole with files; `PITH_RECORD=1` rewrites the files and fails.
@Suite("Recorded texts")
struct RecordedTests {
  static let isRecording = ProcessInfo.processInfo.environment["PITH_RECORD"] == "1"

  static func expect(_ text: String, equals path: String) throws {
    if isRecording {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      Issue.record("recorded \(path); run again without PITH_RECORD")
      return
    }
    let recorded = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text == recorded, "PITH_RECORD=1 rewrites \(path)")
  }

  @Test func referenceInTheDocumentationIsCurrent() throws {
    let path = SharedFiles.repository + "/docs/recipes.md"
    let begin = "<!-- reference: made from the declarations, do not edit -->\n"
    let end = "<!-- end of reference -->"
    let page = try String(contentsOfFile: path, encoding: .utf8)
    let head = try #require(page.range(of: begin))
    let tail = try #require(page.range(of: end))
    let text =
      page[..<head.upperBound] + "\n" + RecipeReference.markdown + "\n" + page[tail.lowerBound...]
    try Self.expect(String(text), equals: path)
  }

  @Test(arguments: ["typos", "ranges", "selectors", "overrides", "order", "syntax", "duplicate"])
  func diagnosticsOfAWholeFile(_ name: String) throws {
    let folder = SharedFiles.fixture("recipes")
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name).yaml"))
    let text: String
    do {
      let recipe = try RecipeParser.parse(bytes: Array(data), file: "\(name).yaml")
      text = recipe.warnings.map { $0.description + "\n" }.joined()
    } catch {
      text = error.description + "\n"
    }
    try Self.expect(text, equals: "\(folder)/\(name).txt")
  }
}
