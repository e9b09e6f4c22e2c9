import Tensors

/// Memory for kernels, on a border of 64 bytes: a vector that lies across two lines of the cache is
/// read twice, and an array's numbers begin behind its head.
///
/// Sendable because it is filled by one owner before others read it, or never shared.
final class AlignedNumbers<Number>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Number>
  let count: Int

  /// Zeros, in large pages where they are many.
  init(count: Int) {
    let bytes = max(count, 1) * MemoryLayout<Number>.stride
    // Whole large pages from the first byte on, where there is room for some.
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: bytes, alignment: bytes >= 8 << 20 ? 2 << 20 : 64)
    LargePages.advise(UnsafeMutableRawBufferPointer(start: memory, count: bytes))
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    base = memory.bindMemory(to: Number.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { base.deallocate() }
}
