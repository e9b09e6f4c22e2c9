import Foundation

/// Files that tests read: fixtures in the repository, and larger ones that only some machines have.
public enum SharedFiles {
  /// The repository's root, found from this file's place in it.
  public static let repository: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { url.deleteLastPathComponent() }
    return url.path
  }()

  /// A path below fixtures/.
  public static func fixture(_ path: String) -> String { repository + "/fixtures/" + path }

  /// The folder of real models, texts and oracles (`PITH_SHARED`), nil where it is not at hand.
  public static let shared: String? = {
    guard let path = ProcessInfo.processInfo.environment["PITH_SHARED"],
      FileManager.default.fileExists(atPath: path)
    else { return nil }
    return path
  }()

  /// Why a test that needs `shared` is skipped.
  public static let sharedMissing = "needs the real models: set PITH_SHARED to their folder"

  /// A fresh folder for one test's files, which the closure's end removes.
  public static func withTemporaryFolder<Result>(
    _ body: (String) throws -> Result
  ) throws -> Result {
    let path = NSTemporaryDirectory() + "pith-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }
}
