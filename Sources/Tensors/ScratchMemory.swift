import Synchronization

/// Buffers that tiles borrow and give back, so that no tile pays for fresh pages.
public final class ScratchMemory: Sendable {
  private struct Buffer: @unchecked Sendable {
    // The list hands a buffer to one borrower at a time.
    let memory: UnsafeMutableBufferPointer<Float>
  }
  private let free = Mutex<[Buffer]>([])
  private let live = Mutex<Int>(0)

  public init() {}

  /// The bytes that are held, lent or free.
  public var byteCount: Int { live.withLock { $0 } }

  deinit {
    for buffer in free.withLock({ $0 }) { buffer.memory.deallocate() }
  }

  /// Lends room for `count` numbers for the length of a call; their values are arbitrary.
  public func with<Result>(
    _ count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Result
  ) rethrows -> Result {
    // The smallest that fits: a short line must not hold the buffer that a whole tile needs.
    let found = free.withLock { buffers -> Buffer? in
      let fitting = buffers.indices.filter { buffers[$0].memory.count >= count }
      let best = fitting.min { buffers[$0].memory.count < buffers[$1].memory.count }
      return best.map { buffers.remove(at: $0) }
    }
    let buffer = found ?? allocate(count)
    defer { free.withLock { $0.append(buffer) } }
    return try withExtendedLifetime(buffer) {
      // A buffer has at least one element, so that it has an address.
      guard let base = buffer.memory.baseAddress else { preconditionFailure("no memory") }
      return try body(base)
    }
  }

  private func allocate(_ count: Int) -> Buffer {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    live.withLock { $0 += bytes }
    return Buffer(memory: raw.bindMemory(to: Float.self))
  }
}
