import Synchronization
import Tensors
import Weights

/// Where a tensor's bytes are made on their way into a file: a buffer that is used again and again.
///
/// Small enough to stay in the processor's cache, and written out at borders of the file's pages:
/// a page that is written in two parts costs twice. For one worker at a time.
final class StagingBuffer: @unchecked Sendable {
  private static let page = 4096
  /// What one call of `append` should ask for at most.
  static let piece = 128 << 10

  /// What a buffer takes while tensors pass through it a piece at a time.
  static let workingBytes = 2 << 20

  /// For what bytes are made of.
  let sources = RowMemory()

  private let memory = UnsafeMutableRawBufferPointer.allocate(
    byteCount: 512 << 10, alignment: page)
  /// The bytes in `memory` that wait for being written.
  private var waiting = 0..<0
  /// How many of the tensor's bytes were written.
  private var written = 0
  private var put: (UnsafeRawBufferPointer, Int) throws -> Void = { _, _ in }

  private let floats = RowMemory()
  private let rare = RowMemory()

  deinit { memory.deallocate() }

  /// Room for values on their way to another type, valid until the next call.
  func values(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
    floats.begin()
    return floats.take(count * 4).bindMemory(to: Float.self)
  }

  /// Passes on the bytes that a body appends.
  ///
  /// - Parameters:
  ///   - position: the first byte's place in the file.
  ///   - put: takes bytes and their offset in the tensor.
  func collect(
    at position: Int, _ body: (StagingBuffer) throws -> Void,
    put: @escaping (UnsafeRawBufferPointer, Int) throws -> Void
  ) throws {
    waiting = position % Self.page..<position % Self.page
    written = 0
    self.put = put
    defer { self.put = { _, _ in } }
    try body(self)
    try pass(upTo: waiting.upperBound)
  }

  /// Appends bytes that a closure writes to their place.
  func append(_ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    if count > memory.count - waiting.upperBound { try passPages() }
    guard count <= memory.count - waiting.upperBound else {
      // A single row that is larger than the buffer.
      try pass(upTo: waiting.upperBound)
      rare.begin()
      let large = rare.take(count)
      try fill(large)
      try put(UnsafeRawBufferPointer(large), written)
      written += count
      let next = (waiting.upperBound + count) % Self.page
      waiting = next..<next
      return
    }
    let end = waiting.upperBound + count
    try fill(UnsafeMutableRawBufferPointer(rebasing: memory[waiting.upperBound..<end]))
    waiting = waiting.lowerBound..<end
  }

  /// Appends some bytes, then zeros up to a count.
  func append(_ bytes: [UInt8], padded count: Int) throws {
    try append(count) { target in
      target.copyBytes(from: bytes)
      for index in bytes.count..<count { target[index] = 0 }
    }
  }

  /// Appends bytes as they are; those of a file are read, not mapped.
  func append(_ bytes: Bytes) throws {
    var done = 0
    while done < bytes.count {
      if waiting.upperBound == memory.count { try passPages() }
      let count = min(bytes.count - done, memory.count - waiting.upperBound)
      try append(count) { try bytes.read(at: done, into: $0) }
      done += count
    }
  }

  /// How many rows make a piece.
  static func rows(ofBytes count: Int) -> Int { max(1, piece / max(count, 1)) }

  private func passPages() throws {
    let cut = waiting.upperBound / Self.page * Self.page
    guard cut > waiting.lowerBound else { return }
    let rest = cut..<waiting.upperBound
    try pass(upTo: cut)
    UnsafeMutableRawBufferPointer(rebasing: memory[0..<rest.count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[rest]))
    waiting = 0..<rest.count
  }

  private func pass(upTo end: Int) throws {
    let bytes = UnsafeRawBufferPointer(rebasing: memory[waiting.lowerBound..<end])
    if !bytes.isEmpty { try put(bytes, written) }
    written += bytes.count
    waiting = end..<end
  }
}

/// A staging buffer for every worker.
final class StagingBuffers: Sendable {
  private let free = Mutex<[StagingBuffer]>([])
  private let memory: TransferMemory

  init(_ memory: TransferMemory) { self.memory = memory }

  /// Runs a body with a buffer of its own, when the memory that it takes is free.
  func with(_ workingBytes: Int, _ body: (StagingBuffer) throws -> Void) throws {
    try memory.with(workingBytes) {
      let buffer = free.withLock { $0.popLast() } ?? StagingBuffer()
      // A whole matrix that was turned about would be kept, and counted for no one.
      let isKept = !memory.isCapped || workingBytes <= StagingBuffer.workingBytes
      defer { if isKept { free.withLock { $0.append(buffer) } } }
      try body(buffer)
    }
  }
}
