import Artefacts
import Foundation
import RunRecords
import Tensors
import TestSupport
import Testing

@testable import Pipeline

@Suite struct JournalTests {
  private static func record(_ index: Int) -> TensorRecord {
    TensorRecord(
      index: index, name: "t\(index)", shape: [2, 3], sourceType: "f32", storedType: "int4",
      reason: "targeted", compressed: true, elements: 6, sourceBytes: 24, storedBytes: 3,
      error: WeightError(
        relativeFrobenius: 0.1, signalToNoise: 20, maximumAbsolute: 1e-30, cosine: 1 / 3),
      seconds: 0.1, notes: ["a \"note\"\n"])
  }

  private static func finished(_ index: Int, _ folder: String) -> FinishedTensor {
    let location = PartLocation(file: folder + "/\(index).part", offset: 64 * index)
    let contents: [ArtefactEntry.Content] = [
      .tied(to: "größe/\u{1}%"),
      .tensor(
        ArtefactDataset(
          path: "", dtype: .f8e4m3, shape: [], attributes: [:], sha256: nil, location: location)),
      .weight(
        attributes: [
          "i": .int(.max), "d": .double(0.1), "s": .string("\"\\\u{0}é"),
          "I": .ints([1, -2, .min]),
          "D": .doubles([1, 0.1, .leastNonzeroMagnitude, -0.0]), "S": .strings(["", "a"]),
          "E": .ints([]),
          "one": .double(1),
        ],
        datasets: [
          ArtefactDataset(
            path: "base/codes", dtype: .u8, shape: [3, 0], attributes: ["bits": .int(4)],
            sha256: "ab", location: location)
        ]),
    ]
    return FinishedTensor(
      entry: ArtefactEntry(name: "t\(index)", content: contents[index % 3]), record: record(index),
      sourceHash: index == 1 ? nil : "cd", partBytes: index)
  }

  private let identity = RunIdentity(facts: [
    .init(what: "the tool's version", value: "1"), .init(what: "the recipe", value: "'r' \"x\""),
  ])

  @Test func everyKindOfLineComesBack() throws {
    for index in 0..<3 {
      let tensor = Self.finished(index, "/here")
      let line = JournalLine.line(tensor)
      #expect(line.hasSuffix("\n") && line.dropLast().allSatisfy { $0 != "\n" })
      let back = try #require(JournalLine.finished(Array(line.utf8), folder: "/here"))
      #expect(back == tensor)
      // The folder may have moved.
      let moved = try #require(JournalLine.finished(Array(line.utf8), folder: "/other"))
      #expect(moved.entry.datasets.allSatisfy { $0.location.file.hasPrefix("/other/") })
    }
    #expect(JournalLine.identity(Array(JournalLine.header(identity).utf8)) == identity)
    #expect(JournalLine.identity(Array("{\"journal\": 99}".utf8)) == nil)
    #expect(JournalLine.finished(Array("{\"name\": \"x\"}".utf8), folder: "/") == nil)
  }

  private func write(_ folder: String, _ count: Int) throws -> String {
    let path = folder + "/journal.jsonl"
    let journal = try Journal.create(path: path, identity: identity, durable: false)
    for index in 0..<count { try journal.add(Self.finished(index, folder), part: nil) }
    try journal.flush()
    return path
  }

  private func resume(_ path: String) throws -> [FinishedTensor] {
    try Journal.resume(path: path, identity: identity, durable: false).1
  }

  @Test func aTornLineIsPassedOverAndDoesNotSpoilTheNext() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = try write(folder, 3)
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      // Torn at every byte of the last line.
      let last = try #require(
        whole.dropLast().lastIndex(of: 0x0A))
      for length in stride(from: last + 2, to: whole.count, by: 37) {
        try whole.prefix(length).write(to: URL(fileURLWithPath: path))
        do {
          let (journal, finished) = try Journal.resume(
            path: path, identity: identity, durable: false)
          #expect(finished.map(\.record.index) == [0, 1])
          try journal.add(Self.finished(2, folder), part: nil)
          try journal.flush()
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
      }
    }
  }

  @Test func damageIsToldApartFromATornLine() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = try write(folder, 3)
      var lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      lines[2] = "{\"name\": 3}"
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: path, atomically: true, encoding: .utf8)
      #expect(Sample.message { _ = try self.resume(path) }.contains("line 3 cannot be read"))
      try "".write(toFile: path, atomically: true, encoding: .utf8)
      #expect(Sample.message { _ = try self.resume(path) }.contains("its first line is missing"))
    }
  }

  @Test func anotherProcessHoldsTheLock() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = try write(folder, 2)
      // Locks belong to open descriptions: a second one in this process is like another process's.
      let holder = open(path, O_RDWR)
      defer { close(holder) }
      #expect(flock(holder, LOCK_EX | LOCK_NB) == 0)
      let before = try Data(contentsOf: URL(fileURLWithPath: path))
      #expect(Sample.message { _ = try self.resume(path) }.contains("another process is working"))
      let text = Sample.message {
        _ = try Journal.create(path: path, identity: self.identity, durable: false)
      }
      #expect(text.contains("another process is working"))
      // Starting over must not empty the journal of a run that goes on.
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }
  }

  @Test func linesReachTheDiskInGroups() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/journal.jsonl"
      let journal = try Journal.create(path: path, identity: identity, durable: false)
      for index in 0..<200 { try journal.add(Self.finished(index, folder), part: nil) }
      let written = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count
      #expect(written > 128 && written <= 201)
      try journal.flush()
      #expect(try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count == 201)
    }
  }
}
