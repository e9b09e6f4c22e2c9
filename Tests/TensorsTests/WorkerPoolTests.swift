import Foundation
import Synchronization
import Tensors
import Testing

@Suite("Worker pool", .timeLimit(.minutes(1)))
struct WorkerPoolTests {
  private struct Failure: Error, Equatable { let tile: Int }

  /// How often each tile ran.
  private final class Counts: Sendable {
    private let counts: Mutex<[Int]>
    init(_ tiles: Int) { counts = Mutex([Int](repeating: 0, count: tiles)) }
    func add(_ tile: Int) { counts.withLock { $0[tile] += 1 } }
    var all: [Int] { counts.withLock { $0 } }
  }

  @Test("Each tile runs once", arguments: [1, 2, 3, 8])
  func once(_ workers: Int) {
    let pool = WorkerPool(workers: workers)
    for tiles in [0, 1, 2, 7, 1000] {
      let counts = Counts(tiles)
      pool.forEach(tiles) { (tile: Int) in counts.add(tile) }
      #expect(counts.all == [Int](repeating: 1, count: tiles))
    }
  }

  @Test("Results come in the order of their tiles")
  func map() throws {
    let pool = WorkerPool(workers: 3)
    #expect(try pool.map(100) { $0 * $0 } == (0..<100).map { $0 * $0 })
    #expect(try pool.map(0) { $0 } == [])
  }

  @Test("Ranges cover the count, the last one shorter")
  func ranges() throws {
    let pool = WorkerPool(workers: 2)
    for count in [0, 1, 9, 10, 11, 95] {
      let counts = Counts(count)
      try pool.forEachRange(count: count, length: 10) { range in
        #expect(range.count == 10 || range.upperBound == count)
        for index in range { counts.add(index) }
      }
      #expect(counts.all == [Int](repeating: 1, count: count))
    }
  }

  @Test("More than one thread takes part")
  func parallel() {
    let pool = WorkerPool(workers: 2)
    let threads = Mutex<Set<ObjectIdentifier>>([])
    let arrived = Atomic<Int>(0)
    pool.forEach(2) { (_: Int) in
      threads.withLock { _ = $0.insert(ObjectIdentifier(Thread.current)) }
      arrived.add(1, ordering: .sequentiallyConsistent)
      // Neither tile ends before the other began: possible only on two threads.
      while arrived.load(ordering: .sequentiallyConsistent) < 2 { usleep(50) }
    }
    #expect(threads.withLock { $0.count } == 2)
  }

  @Test(
    "The error of the lowest failing tile is thrown, and the pool goes on working",
    arguments: [1, 2, 4])
  func errors(_ workers: Int) throws {
    let pool = WorkerPool(workers: workers)
    for round in 0..<200 {
      let lowest = round % 17
      #expect(throws: Failure(tile: lowest)) {
        try pool.forEach(50) { (tile: Int) throws -> Void in
          if tile >= lowest { throw Failure(tile: tile) }
        }
      }
    }
    #expect(try pool.map(5) { $0 } == [0, 1, 2, 3, 4])
  }

  @Test("Calls from inside tiles, however the threads meet", arguments: [2, 3, 4])
  func nested(_ workers: Int) {
    let pool = WorkerPool(workers: workers)
    let total = Atomic<Int>(0)
    for round in 0..<300 {
      pool.forEach(4) { (tile: Int) in
        // The last tile is late, so that its nested call finds the pool free again.
        if tile == 3, round % 3 == 0 { usleep(200) }
        pool.forEach(5) { (_: Int) in
          pool.forEach(2) { (_: Int) in total.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(total.load(ordering: .relaxed) == 300 * 4 * 5 * 2)
  }

  @Test("Many small jobs")
  func stress() {
    let pool = WorkerPool(workers: 4)
    let total = Atomic<Int>(0)
    for round in 0..<10_000 {
      pool.forEach(1 + round % 4) { (_: Int) in total.add(1, ordering: .relaxed) }
    }
    #expect(total.load(ordering: .relaxed) == 25_000)
  }

  @Test("Several threads share one pool")
  func shared() {
    let pool = WorkerPool(workers: 3)
    let total = Atomic<Int>(0)
    let done = DispatchGroup()
    let queue = DispatchQueue(label: "callers", attributes: .concurrent)
    for _ in 0..<4 {
      queue.async(group: done) {
        for _ in 0..<500 {
          pool.forEach(6) { (_: Int) in total.add(1, ordering: .relaxed) }
        }
      }
    }
    done.wait()
    #expect(total.load(ordering: .relaxed) == 4 * 500 * 6)
  }

  @Test("Pools come and go without keeping their threads busy")
  func lifetime() {
    for _ in 0..<200 {
      let pool = WorkerPool(workers: 3)
      pool.forEach(3) { (_: Int) in }
    }
  }
}
