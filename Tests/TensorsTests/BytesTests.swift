import Synchronization
import Tensors
import Testing

@Suite("Shared bytes")
struct BytesTests {
  private struct Failure: Error {}

  @Test("Memory is aligned and holds what was written")
  func contents() {
    let bytes = Bytes(count: 10) { target in
      for index in target.indices { target[index] = UInt8(index) }
    }
    #expect(bytes.count == 10 && Array(bytes.buffer) == Array(0..<10))
    #expect(bytes.buffer.baseAddress.map { UInt(bitPattern: $0) % 64 } == 0)
    #expect(Bytes([Int32(-1), 2]).array(of: Int32.self) == [-1, 2])
    // A remainder that fills no element is left out.
    #expect(bytes.array(of: UInt32.self) == [0x0302_0100, 0x0706_0504])
    #expect(Bytes([Float]()).count == 0 && Bytes([Float]()).array(of: Float.self) == [])
  }

  @Test("What the bytes belong to is let go once, when the last owner goes")
  func release() {
    let released = Atomic<Int>(0)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
    defer { memory.deallocate() }
    var owners: [Bytes] = []
    do {
      let bytes = Bytes(borrowing: UnsafeRawBufferPointer(memory)) {
        released.add(1, ordering: .relaxed)
      }
      owners = [bytes, bytes]
    }
    owners.removeLast()
    #expect(released.load(ordering: .relaxed) == 0)
    owners.removeLast()
    #expect(released.load(ordering: .relaxed) == 1)
  }

  @Test("A failure while filling is passed on")
  func failure() {
    #expect(throws: Failure.self) { try Bytes(count: 100) { _ in throw Failure() } }
  }
}
