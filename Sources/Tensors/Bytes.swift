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
  private let reader: Reader?

  /// Fills memory with the bytes at an offset.
  public typealias Reader =
    @Sendable (_ offset: Int, _ target: UnsafeMutableRawBufferPointer) throws -> Void

  /// Bytes that belong to something else, which `release` lets go.
  ///
  /// - Parameter reader: a way to the same bytes past the mapping, where there is one.
  public init(
    borrowing buffer: UnsafeRawBufferPointer, reader: Reader? = nil,
    release: @escaping () -> Void
  ) {
    self.buffer = buffer
    self.reader = reader
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

  /// Copies bytes to memory that the caller keeps from piece to piece.
  ///
  /// A mapped file is read, not touched: the first touch of each of its pages costs a fault, more
  /// than copying the page.
  ///
  /// - Throws: what reading the file throws; nothing for bytes in memory.
  public func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws {
    precondition(offset >= 0 && target.count <= count - offset, "past the end of the bytes")
    guard !target.isEmpty else { return }
    if let reader { return try reader(offset, target) }
    withBuffer {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset...].prefix(target.count)))
    }
  }

  /// Whether the bytes are those of a file, which can be read past the mapping.
  public var isInFile: Bool { reader != nil }

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
