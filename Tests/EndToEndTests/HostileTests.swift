import Foundation
import TestSupport
import Testing

/// Every hostile file and folder: a message that names it, exit code 3, no crash, no partial output.
@Suite struct HostileTests {
  static let files: [String] = {
    let folder = SharedFiles.fixture("hostile")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { name in
      [".h5", ".safetensors", ".keras"].contains { name.hasSuffix($0) }
        || ["folder-", "index-"].contains { name.hasPrefix($0) }
    }.sorted()
  }()

  @Test func thereAreHostileFiles() { #expect(Self.files.count >= 20, "\(Self.files)") }

  @Test(arguments: files)
  func compressRefuses(_ name: String) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = SharedFiles.fixture("hostile/" + name)
      let run = try Program.run([
        "compress", "--preset", "w4", "--model", path, "--output", folder + "/out.h5",
      ])
      #expect(!run.wasSignalled, "\(run.error)")
      #expect(run.status == 3, "\(run.output)\(run.error)")
      #expect(run.error.contains(name), "\(run.error)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/out.h5"))
    }
  }
}
