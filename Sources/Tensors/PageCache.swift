import Synchronization

/// Memory of one piece of work, handed on from those parts of it that are done to those to come,
/// and by a pool to the next piece of the same kind (`WorkerPool.withPages`).
///
/// A fresh page costs a fault, and the system clears it: for a large layer's sweep that takes a
/// tenth of its time, and several times as much on a machine whose host takes free pages back.
public final class PageCache: Sendable {
  private struct Block: @unchecked Sendable {
    // The list hands a block to one borrower at a time.
    let memory: UnsafeMutableRawPointer
    let byteCount: Int
  }
  private let idle = Mutex<[Block]>([])

  public init() {}

  deinit {
    for block in idle.withLock({ $0 }) { block.memory.deallocate() }
  }

  /// Lends so many bytes, whose values are arbitrary; whoever takes them gives them back.
  ///
  /// On a border of 64 bytes; of many, on one of a large page, and in large pages.
  ///
  /// - Parameter isSparse: whether most of them will never be touched: large pages would take
  ///   memory for those too.
  public func take(byteCount: Int, isSparse: Bool = false) -> UnsafeMutableRawPointer {
    let found = idle.withLock { blocks -> Block? in
      blocks.lastIndex { $0.byteCount == byteCount }.map { blocks.remove(at: $0) }
    }
    if let found { return found.memory }
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, 1), alignment: byteCount >= 8 << 20 ? 2 << 20 : 64)
    if !isSparse {
      LargePages.advise(UnsafeMutableRawBufferPointer(start: memory, count: byteCount))
    }
    return memory
  }

  /// Takes back what it lent, of the same number of bytes.
  public func give(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
    idle.withLock { $0.append(Block(memory: memory, byteCount: byteCount)) }
  }
}

/// The pages that a pool's finished work leaves to the next.
final class KeptPages: Sendable {
  private let caches = Mutex<[(key: [Int], pages: PageCache)]>([])

  func take(_ key: [Int]) -> PageCache {
    let (found, others) = caches.withLock {
      kept -> (PageCache?, [(key: [Int], pages: PageCache)]) in
      if let place = kept.lastIndex(where: { $0.key == key }) {
        return (kept.remove(at: place).pages, [])
      }
      defer { kept = [] }
      return (nil, kept)
    }
    // Freed here, outside the lock: what has another shape is of no use to this work.
    withExtendedLifetime(others) {}
    return found ?? PageCache()
  }

  func give(_ pages: PageCache, _ key: [Int]) {
    caches.withLock { $0.append((key, pages)) }
  }
}

extension WorkerPool {
  /// Lends memory for a piece of work: that of the last piece with the same key, where the pool
  /// keeps it.
  ///
  /// - Parameter key: what decides the sizes of the work's memory. Work of another key frees what
  ///   idle work has left.
  public func withPages<Result, Failure: Error>(
    _ key: [Int], _ body: (PageCache) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard keepsPages else { return try body(PageCache()) }
    let pages = kept.take(key)
    defer { kept.give(pages, key) }
    return try body(pages)
  }
}
