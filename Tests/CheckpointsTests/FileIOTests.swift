import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct FileIOTests {
  @Test func mappingAtAnyOffsetEqualsReading() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/data"
      let content = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 5) }
      try Data(content).write(to: URL(fileURLWithPath: path))
      let file = try ReadOnlyFile(path: path)
      #expect(file.size == 20_000)
      for range in [0..<0, 0..<1, 1..<4097, 4095..<4097, 4096..<8192, 8191..<20_000, 0..<20_000] {
        #expect(try file.map(range).array(of: UInt8.self) == Array(content[range]))
        #expect(try file.bytes(range) == Array(content[range]))
      }
      #expect(
        throws: CheckpointError.endsEarly(path: path, offset: 19_999, wanted: 2, size: 20_000)
      ) { try file.map(19_999..<20_001) }
      // A file that was cut short after it was opened is not mapped: touching it would be fatal.
      try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 100)
      #expect(throws: CheckpointError.changedWhileOpen(path: path)) { try file.map(0..<200) }
      #expect(throws: CheckpointError.changedWhileOpen(path: path)) { try file.bytes(0..<200) }
    }
  }

  @Test func replacingThroughASymbolicLinkKeepsTheLink() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let real = folder + "/real"
      let link = folder + "/link"
      try Data("old".utf8).write(to: URL(fileURLWithPath: real))
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: real)
      try ReplacementFile.write(Array("new".utf8), to: link)
      #expect(try String(contentsOfFile: real, encoding: .utf8) == "new")
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == real)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
    }
  }

  /// What a killed process left goes when the same target is written again; what a living one
  /// writes, or another machine, stays.
  @Test func abandonedTemporariesAreRemoved() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let dead = Process()
      dead.executableURL = URL(fileURLWithPath: "/bin/sh")
      dead.arguments = ["-c", "exit 0"]
      try dead.run()
      dead.waitUntilExit()
      let path = folder + "/out.h5"
      // A name as the program gives it, with its own process in it.
      let open = try ReplacementFile(target: path)
      let own = FileIO.name(of: open.temporaryPath)
      func of(_ process: Int32) -> String {
        own.replacingOccurrences(
          of: "-\(ProcessInfo.processInfo.processIdentifier)-", with: "-\(process)-")
      }
      let abandoned = of(dead.processIdentifier)
      let elsewhere = abandoned.replacingOccurrences(of: ".h5.", with: ".h5.elsewhere")
      let other = abandoned.replacingOccurrences(of: ".out.", with: ".other.")
      try #require(abandoned != own && elsewhere != abandoned && other != abandoned)
      for name in [abandoned, elsewhere, other] {
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
      }
      try FileManager.default.createDirectory(
        atPath: folder + "/" + abandoned + "folder.partial", withIntermediateDirectories: false)
      try ReplacementFile.write([1], to: path)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(names == [other, elsewhere, own, "out.h5"].sorted())
    }
  }

  @Test func longNamesHaveTemporaries() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/" + String(repeating: "n", count: 250)
      try ReplacementFile.write([1, 2, 3], to: path)
      #expect(try ReadOnlyFile(path: path).bytes(0..<3) == [1, 2, 3])
    }
  }

  @Test(arguments: [
    ("a/b/c", "a/b", "c"), ("c", ".", "c"), ("/c", "/", "c"), ("a/b/", "a", "b"), ("/", "/", "/"),
  ]) func pathParts(_ path: String, _ folder: String, _ name: String) {
    #expect(FileIO.folder(of: path) == folder)
    if path != "/" { #expect(FileIO.name(of: path) == name) }
  }

  @Test func aFolderInTheWay() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let error = #expect(throws: CheckpointError.self) { try ReplacementFile(target: folder) }
      #expect(
        error == .cannotWrite(path: folder, reason: "a folder of this name is in the way"))
    }
  }
}
