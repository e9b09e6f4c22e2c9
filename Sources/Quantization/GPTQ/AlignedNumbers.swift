import Tensors

/// Memory for kernels, on a border of 64 bytes: a vector that lies across two lines of the cache is
/// read twice, and an array's numbers begin behind its head.
///
/// Sendable because it is filled by one owner before others read it, or never shared.
final class AlignedNumbers<Number>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Number>
  let count: Int
  private let pages: PageCache

  /// What the numbers are at first.
  enum Filling {
    case zeros
    /// Arbitrary: their owner writes each before it is read.
    case none
    /// Arbitrary, and few of them are ever touched.
    case sparse
  }

  init(count: Int, pages: PageCache, filling: Filling = .zeros) {
    self.count = count
    self.pages = pages
    let memory = pages.take(byteCount: Self.byteCount(count), isSparse: filling == .sparse)
    if filling == .zeros {
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.byteCount(count))
    }
    base = memory.bindMemory(to: Number.self, capacity: max(count, 1))
  }

  deinit { pages.give(UnsafeMutableRawPointer(base), byteCount: Self.byteCount(count)) }

  private static func byteCount(_ count: Int) -> Int { max(count, 1) * MemoryLayout<Number>.stride }
}
