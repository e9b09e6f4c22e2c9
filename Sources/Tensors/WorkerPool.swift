import Foundation
import Synchronization

/// Threads that share out fixed tiles.
///
/// The caller cuts the work into tiles whose borders do not depend on the number of workers; each
/// tile is done once, by whoever is free. Results are therefore the same bits with any number of
/// workers, as long as tiles write to separate places (docs/determinism.md).
///
/// A call made from inside a tile, or while another call holds the pool, runs its tiles in the
/// calling thread: nesting neither deadlocks nor oversubscribes.
public final class WorkerPool: Sendable {
  /// How many tiles run at once, the calling thread included.
  public let workers: Int

  /// Whether memory of finished work is kept for the next of its kind (`withPages`), up to the
  /// pool's own end.
  public let keepsPages: Bool

  private let state = PoolState()
  let kept = KeptPages()

  /// A pool of `workers` threads, the caller counted as one of them.
  public init(workers: Int, keepsPages: Bool = true) {
    precondition(workers >= 1, "a pool has at least one worker")
    self.workers = workers
    self.keepsPages = keepsPages
    for index in 1..<max(workers, 1) {
      let state = state
      let thread = Thread { state.serve() }
      thread.name = "pith-worker-\(index)"
      // LAPACK and deep recursion in libraries want more than the default of secondary threads.
      thread.stackSize = 16 << 20
      thread.start()
    }
  }

  deinit { state.stop() }

  /// A pool that runs everything in the calling thread; having no end, it keeps no pages.
  public static let serial = WorkerPool(workers: 1, keepsPages: false)

  /// Runs a body once for every tile index; returns when all are done.
  ///
  /// Tiles are begun in the order of their index; after a failure no further tile begins.
  ///
  /// - Throws: the error of the lowest tile that fails, the same with any number of workers.
  public func forEach(_ tiles: Int, _ body: @Sendable (Int) throws -> Void) throws {
    guard tiles > 0 else { return }
    guard workers > 1, tiles > 1 else {
      for tile in 0..<tiles { try body(tile) }
      return
    }
    try withoutActuallyEscaping(body) { escaping in
      let job = PoolJob(tiles: tiles, body: escaping)
      guard state.offer(job) else {
        for tile in 0..<tiles { try escaping(tile) }
        return
      }
      job.run()
      state.withdraw(job)
      if let error = job.firstError { throw error }
    }
  }

  /// Runs a body that cannot fail once for every tile index.
  public func forEach(_ tiles: Int, _ body: @Sendable (Int) -> Void) {
    // A body that does not throw leaves no error to report.
    try? forEach(tiles) { (tile: Int) throws -> Void in body(tile) }
  }

  /// The results of a body for every tile index, in order of the index.
  public func map<Result: Sendable>(
    _ tiles: Int, _ body: @Sendable (Int) throws -> Result
  ) throws -> [Result] {
    let results = Mutex<[Int: Result]>([:])
    try forEach(tiles) { (tile: Int) throws -> Void in
      let result = try body(tile)
      results.withLock { $0[tile] = result }
    }
    return results.withLock { found in (0..<tiles).compactMap { found[$0] } }
  }

  /// Runs a body over ranges of a fixed length that cover `0..<count`.
  public func forEachRange(
    count: Int, length: Int, _ body: @Sendable (Range<Int>) throws -> Void
  ) throws {
    precondition(length > 0, "a tile has at least one element")
    try forEach((count + length - 1) / length) { (tile: Int) throws -> Void in
      try body(tile * length..<min((tile + 1) * length, count))
    }
  }
}

/// One call's tiles, handed out by an atomic counter.
private final class PoolJob: Sendable {
  let tiles: Int
  private let body: @Sendable (Int) throws -> Void
  private let next = Atomic<Int>(0)
  private let failed = Atomic<Bool>(false)
  private let failure = Mutex<(tile: Int, error: any Error)?>(nil)
  /// How many of the pool's threads run tiles of this job; guarded by the pool's lock.
  nonisolated(unsafe) var inside = 0

  init(tiles: Int, body: @escaping @Sendable (Int) throws -> Void) {
    self.tiles = tiles
    self.body = body
  }

  var firstError: (any Error)? { failure.withLock { $0?.error } }

  func run() {
    while !failed.load(ordering: .relaxed) {
      let tile = next.add(1, ordering: .relaxed).oldValue
      guard tile < tiles else { return }
      do {
        try body(tile)
      } catch {
        failure.withLock { if $0.map({ tile < $0.tile }) ?? true { $0 = (tile, error) } }
        failed.store(true, ordering: .relaxed)
      }
    }
  }
}

/// The job that the threads work on, if any.
private final class PoolState: @unchecked Sendable {
  private let condition = NSCondition()
  private var job: PoolJob?
  private var generation = 0
  private var stopped = false

  func offer(_ new: PoolJob) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    guard job == nil else { return false }
    job = new
    generation += 1
    condition.broadcast()
    return true
  }

  /// Takes the job away and waits for the threads that are still inside it.
  ///
  /// Threads are counted per job: a tile of an older job may have offered this one, and its thread
  /// is inside the older job for as long as it waits here.
  func withdraw(_ old: PoolJob) {
    condition.lock()
    job = nil
    while old.inside > 0 { condition.wait() }
    condition.unlock()
  }

  func stop() {
    condition.lock()
    stopped = true
    condition.broadcast()
    condition.unlock()
  }

  func serve() {
    var seen = 0
    condition.lock()
    while true {
      while !stopped && (job == nil || generation == seen) { condition.wait() }
      if stopped { break }
      seen = generation
      guard let current = job else { continue }
      current.inside += 1
      condition.unlock()
      current.run()
      condition.lock()
      current.inside -= 1
      if current.inside == 0 { condition.broadcast() }
    }
    condition.unlock()
  }
}
