import Foundation
import Kernels

/// Counts the large buffers of running jobs against the cap that the user declared.
///
/// A job asks for its peak before it starts and waits until that fits beside the others: with a
/// small cap jobs run one after another, with the same result.
public final class MemoryLedger: @unchecked Sendable {
  private let condition = NSCondition()
  private var free: Int

  /// - Parameters:
  ///   - limit: the bytes that jobs may take together.
  ///   - isCap: whether the user gave it, so that what a job frees must leave the process.
  public init(limit: Int, isCap: Bool) {
    free = limit
    // glibc keeps freed blocks of up to 32 MiB in a heap of every thread, and the next job, on another
    // one, takes new memory beside them.
    if isCap { pith_return_freed_memory() }
  }

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
