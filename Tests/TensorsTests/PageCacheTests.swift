import Testing

@testable import Tensors

@Suite("Memory handed on between pieces of work")
struct PageCacheTests {
  @Test("what was given back is lent again, to those who ask for as much")
  func reuse() {
    let pages = PageCache()
    let first = pages.take(byteCount: 4096)
    let second = pages.take(byteCount: 4096)
    #expect(first != second)
    pages.give(first, byteCount: 4096)
    let other = pages.take(byteCount: 8192)
    #expect(other != first)
    #expect(pages.take(byteCount: 4096) == first)
    for (memory, count) in [(first, 4096), (second, 4096), (other, 8192)] {
      #expect(UInt(bitPattern: memory) % 64 == 0)
      pages.give(memory, byteCount: count)
    }
    // Of many bytes the first begins a large page; of none there is an address still.
    let large = pages.take(byteCount: 8 << 20)
    #expect(UInt(bitPattern: large) % (2 << 20) == 0)
    pages.give(large, byteCount: 8 << 20)
    pages.give(pages.take(byteCount: 0), byteCount: 0)
  }

  @Test("a pool keeps the memory of finished work for work of the same key, and of that alone")
  func keys() {
    let pool = WorkerPool(workers: 1)
    func lent(_ key: [Int], by pool: WorkerPool) -> ObjectIdentifier {
      pool.withPages(key) { ObjectIdentifier($0) }
    }
    weak var kept: PageCache?
    let first = pool.withPages([1, 2]) {
      kept = $0
      return ObjectIdentifier($0)
    }
    #expect(kept != nil && lent([1, 2], by: pool) == first)
    // Two pieces of work at once never share theirs.
    pool.withPages([1, 2]) { mine in
      #expect(lent([1, 2], by: pool) != ObjectIdentifier(mine))
    }
    _ = lent([3], by: pool)
    #expect(kept == nil)
  }

  @Test("a pool that keeps none frees all, after an error as well")
  func keepsNone() {
    struct Failure: Error {}
    for pool in [WorkerPool.serial, WorkerPool(workers: 2, keepsPages: false)] {
      weak var lent: PageCache?
      #expect(throws: Failure.self) {
        try pool.withPages([1]) { (pages: PageCache) throws(Failure) in
          lent = pages
          throw Failure()
        }
      }
      #expect(lent == nil)
    }
    let pool = WorkerPool(workers: 2)
    weak var lent: PageCache?
    try? pool.withPages([1]) { (pages: PageCache) throws(Failure) in
      lent = pages
      throw Failure()
    }
    #expect(lent != nil)
  }
}
