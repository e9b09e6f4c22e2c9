import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("Walsh–Hadamard transform")
struct HadamardTests {
  @Test("The fast transform equals the dense matrix", arguments: [1, 2, 4, 8, 64, 256])
  func dense(_ size: Int) throws {
    var random = PortableRandom(UInt64(size))
    let input = random.normal(5, size)
    var fast = input
    try Hadamard.transformRows(&fast)
    let plain = try Gemm.reference(input, Hadamard.matrix(order: size))
    #expect(distance(fast, plain) < 1e-13 * frobenius(plain))
    try Hadamard.transformRows(&fast)
    #expect(distance(fast, input) < 1e-13 * frobenius(input))
  }

  @Test("Blocks are transformed on their own, any number of workers gives the same bits")
  func blocks() throws {
    var random = PortableRandom(3)
    let input = random.normal(300, 384).single
    var whole = input
    try Hadamard.transformRows(&whole, blockSize: 128)
    var shared = input
    try Hadamard.transformRows(&shared, blockSize: 128, pool: WorkerPool(workers: 2))
    #expect(whole == shared)
    var part = Array(input.values[128..<256])
    part.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      Hadamard.transform(base, count: 128)
    }
    #expect(Array(whole.values[128..<256]) == part)
  }

  @Test("Sizes that are no power of two, or do not divide, are errors")
  func sizes() {
    var matrix = Matrix<Float>(rows: 2, columns: 576, repeating: 1)
    #expect(
      throws: LinearAlgebraError.notPowerOfTwo(routine: "Hadamard.transformRows", size: 576)
    ) { try Hadamard.transformRows(&matrix) }
    #expect(throws: LinearAlgebraError.self) {
      try Hadamard.transformRows(&matrix, blockSize: 128)
    }
    #expect(throws: LinearAlgebraError.self) { try Hadamard.matrix(order: 0, of: Float.self) }
  }
}
