import Foundation
import Synchronization

/// Names for one test's files; what was made under them goes with this object, which a suite holds
/// and which goes with the suite's instance, that is at each test's end.
public final class TemporaryPaths: Sendable {
  private let given = Mutex<[String]>([])

  public init() {}

  deinit {
    for path in given.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: path) }
  }

  /// A path where nothing is yet.
  public func next(_ stem: String) -> String {
    let path = NSTemporaryDirectory() + "pith-\(stem)-\(UUID().uuidString)"
    given.withLock { $0.append(path) }
    return path
  }
}
