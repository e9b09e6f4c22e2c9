/// Immutable bytes that several owners can share without copying.
///
/// The memory is either the buffer's own, allocated and aligned to 64 bytes, or belongs to
/// something kept alive beside it (a mapped file). Two payloads that share a `Bytes` object are
/// stored once: ties come free.
public final class Bytes: @unchecked Sendable {
  /// The memory, valid as long as this object lives; nobody writes after initialisation.
  ///
  /// A trap: an optimised build lets an object go after its last use, which can be the reading of
  /// this property. Where nothing else keeps the object alive, use `withBuffer`.
  public let buffer: UnsafeRawBufferPointer
  private let release: () -> Void

  /// Bytes that belong to something else, which `release` lets go.
  public init(borrowing buffer: UnsafeRawBufferPointer, release: @escaping () -> Void) {
    self.buffer = buffer
    self.release = release
  }

  /// New bytes, filled by the closure.
  public convenience init(
    count: Int, initializingWith fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 64)
    do {
      try fill(UnsafeMutableRawBufferPointer(rebasing: memory[0..<count]))
    } catch {
      memory.deallocate()
      throw error
    }
    self.init(
      borrowing: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[0..<count]),
      release: { memory.deallocate() })
  }

  /// A copy of an array's memory.
  public convenience init<Element: BitwiseCopyable>(_ array: [Element]) {
    self.init(count: array.count * MemoryLayout<Element>.stride) { target in
      array.withUnsafeBytes { target.copyMemory(from: $0) }
    }
  }

  deinit { release() }

  /// Runs a body with the memory, which stays valid until the body returns.
  public func withBuffer<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(buffer)
  }

  /// The number of bytes.
  public var count: Int { buffer.count }

  /// The bytes as elements of a type, copied.
  public func array<Element: BitwiseCopyable>(of type: Element.Type) -> [Element] {
    let count = buffer.count / MemoryLayout<Element>.stride
    return Array(unsafeUninitializedCapacity: count) { target, initialized in
      UnsafeMutableRawBufferPointer(target).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: buffer[0..<count * MemoryLayout<Element>.stride]))
      initialized = count
    }
  }
}
