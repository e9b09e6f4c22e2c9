import Foundation

/// Counts the large buffers of running jobs against the cap that the user declared.
///
/// A job asks for its peak before it starts and waits until that fits beside the others: with a
/// small cap jobs run one after another, with the same result.
public final class MemoryLedger: @unchecked Sendable {
  private let condition = NSCondition()
  private var free: Int

  /// - Parameter limit: the bytes that jobs may take together.
  public init(limit: Int) { free = limit }

  /// Runs a body that needs this many bytes; waits until they are free, for ever where they are more
  /// than the limit.
  public func withReservation<Result>(_ bytes: Int, _ body: () throws -> Result) rethrows -> Result
  {
    condition.lock()
    while free < bytes { condition.wait() }
    free -= bytes
    condition.unlock()
    defer {
      condition.lock()
      free += bytes
      condition.broadcast()
      condition.unlock()
    }
    return try body()
  }
}
