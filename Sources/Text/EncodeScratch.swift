import Synchronization

/// What one call of `encode` works with: caches and merging memory, never shared between calls.
final class EncodeScratch {
  var cache = WordCache()
  var merging = MergeScratch()
}

/// Scratches at rest, so that a word cache outlives the call that filled it.
final class ScratchPool: Sendable {
  /// A scratch that nobody else holds while it is out of the pool.
  private struct Resting: @unchecked Sendable {
    let scratch: EncodeScratch
  }

  private let resting = Mutex<[Resting]>([])

  /// Runs the closure with a scratch of its own.
  func withScratch<Result>(
    _ body: (EncodeScratch) throws(TextError) -> Result
  ) throws(TextError) -> Result {
    let scratch = resting.withLock { $0.popLast() }?.scratch ?? EncodeScratch()
    defer {
      let rested = Resting(scratch: scratch)
      resting.withLock { $0.append(rested) }
    }
    return try body(scratch)
  }
}
