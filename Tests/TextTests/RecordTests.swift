import Foundation
import JSONText
import TestSupport
import Testing

@testable import Text

@Suite("Records, text files and streams")
struct RecordTests {
  @discardableResult
  private func withFile<Result>(
    _ bytes: [UInt8], _ body: (String) throws -> Result
  ) throws -> Result {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/file"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      return try body(path)
    }
  }

  @Test(
    "lines keep their numbers over blank lines, CR LF, a byte order mark and a missing last end")
  func lines() throws {
    let text = "\u{FEFF}{\"text\":\"a\",\"label\":1}\r\n\n  \n{\"text\":\"b\",\"n\":2.50}"
    try withFile(Array(text.utf8)) { path in
      let records = try JSONLines.records(path)
      #expect(records.map(\.line) == [1, 4])
      #expect(try records[0].text("text") == "a")
      #expect(try records[0].label(options: ["x", "y"]) == 1)
      #expect(try records[1].text("n") == "2.50")
    }
  }

  @Test("records longer than a chunk and files of many chunks are read whole")
  func manyChunks() throws {
    var text = ""
    for index in 0..<3 {
      text += "{\"text\":\"" + String(repeating: "\(index)", count: 1_500_000) + "\"}\n"
    }
    for index in 0..<2000 { text += "{\"text\":\"\(index)\"}\n" }
    try withFile(Array(text.utf8)) { path in
      let records = try JSONLines.records(path)
      #expect(records.count == 2003)
      #expect(try records[2].text("text") == String(repeating: "2", count: 1_500_000))
      #expect(try records[2002].text("text") == "1999")
    }
  }

  @Test("errors name the line")
  func badLines() throws {
    try withFile(Array("{\"a\":1}\n{\"a\":}\n".utf8)) { path in
      #expect(
        throws: TextError.badRecord(
          path: path, line: 2, error: .unexpectedByte(0x7D, offset: 5, expected: "a value"))
      ) { try JSONLines.records(path) }
    }
    try withFile(Array("\n[1]\n".utf8)) { path in
      #expect(throws: TextError.recordNotObject(path: path, line: 2)) {
        try JSONLines.records(path)
      }
    }
    try withFile([]) { path in
      #expect(throws: TextError.emptyText(source: path)) { try JSONLines.records(path) }
    }
    try withFile(Array("{\"a\":\"\u{E9}".utf8.dropLast()) + [0x22, 0x7D]) { path in
      #expect(throws: TextError.self) { try JSONLines.records(path) }
    }
    #expect(throws: TextError.self) { try JSONLines.records("/nowhere/at/all") }
  }

  @Test("missing fields suggest what was meant")
  func fields() throws {
    let record = try Self.record(#"{"sentence":"x","label":3,"list":[1]}"#)
    do {
      _ = try record.text("sentense")
      Issue.record("accepted")
    } catch {
      #expect(
        error.description == "r.jsonl:7: the record has no field 'sentense'; did you mean"
          + " 'sentence'? (it has 'sentence', 'label', 'list')")
    }
    #expect(throws: TextError.fieldNotText(source: "r.jsonl", line: 7, field: "list")) {
      try record.text("list")
    }
    do {
      _ = try record.label(options: ["a", "b"])
      Issue.record("accepted")
    } catch {
      #expect(error.description.contains("the label is 3; expected a whole number from 0 to 1"))
    }
  }

  static func record(_ json: String) throws -> TextRecord {
    TextRecord(
      line: 7, source: "r.jsonl", fields: try #require(try JSONParser.parse(json).object))
  }

  @Test("paragraphs are the lines that hold something")
  func paragraphs() throws {
    try withFile(Array("one\r\n\n \t \ntwo \n\nthree".utf8)) { path in
      let found = try TextFile.paragraphs(path)
      #expect(found == ["one", "two ", "three"])
    }
    try withFile(Array(" \n\n".utf8)) { path in
      #expect(throws: TextError.emptyText(source: path)) { try TextFile.paragraphs(path) }
    }
    try withFile([0x61, 0x0A, 0xE9, 0x0A]) { path in
      #expect(throws: TextError.invalidUTF8(source: path, offset: 2)) {
        try TextFile.paragraphs(path)
      }
    }
  }

  @Test("a file's stream is the file's text, line breaks too, without special tokens")
  func stream() throws {
    let tokenizer = try Golden.tokenizer("llama3")
    let text = "one\n\ntwo three\n"
    try withFile(Array(text.utf8)) { path in
      let stream = try TextFile.tokens(path, with: tokenizer)
      #expect(try stream.ids == tokenizer.encode(text, addSpecialTokens: false))
      #expect(tokenizer.decode(stream.ids) == text)
    }
    #expect(
      throws: TextError.tokenOutOfRange(source: "t.h5", index: 2, id: 9, vocabularySize: 9)
    ) { try TokenStream([0, 8, 9], vocabularySize: 9, source: "t.h5") }
  }
}
