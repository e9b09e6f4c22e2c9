import Tensors
import TestSupport
import Testing

@testable import LinearAlgebra

@Suite("Matrix products")
struct GemmTests {
  @Test(
    "Every transposition and shape equals three plain loops",
    arguments: [(1, 1, 1), (1, 7, 5), (3, 1, 4), (37, 53, 29), (300, 515, 40), (64, 513, 1)])
  func againstReference(_ m: Int, _ n: Int, _ k: Int) throws {
    var random = PortableRandom(UInt64(m * 1000 + n))
    for transposeLeft in [false, true] {
      for transposeRight in [false, true] {
        let a = transposeLeft ? random.normal(k, m) : random.normal(m, k)
        let b = transposeRight ? random.normal(n, k) : random.normal(k, n)
        let fast = try a.multiplied(
          by: b, transposeSelf: transposeLeft, transposeOther: transposeRight)
        let plain = Gemm.reference(a, transposed: transposeLeft, b, transposed: transposeRight)
        #expect(distance(fast, plain) <= 1e-14 * frobenius(plain) + 1e-15)
        let single = try a.single.multiplied(
          by: b.single, transposeSelf: transposeLeft, transposeOther: transposeRight)
        #expect(distance(single.converted(to: Double.self), plain) <= 2e-6 * frobenius(plain))
      }
    }
  }

  @Test("One, two and three workers give the same bits")
  func sameBits() throws {
    var random = PortableRandom(5)
    let a = random.normal(700, 130).single
    let b = random.normal(130, 1100).single
    let one = try a.multiplied(by: b)
    for workers in [2, 3] {
      #expect(try a.multiplied(by: b, pool: WorkerPool(workers: workers)).values == one.values)
    }
  }

  @Test("Tiles: one for a small product, at least four where that is possible, few for a large one")
  func tiles() {
    func count(_ m: Int, _ n: Int, _ k: Int) -> Int {
      let (rows, columns) = Gemm.tileExtents(m: m, n: n, k: k)
      return (m + rows - 1) / rows * ((n + columns - 1) / columns)
    }
    #expect(count(64, 64, 64) == 1)
    #expect(count(512, 512, 512) == 4)
    #expect(count(1, 4000, 4000) >= 4 && count(4000, 1, 4000) >= 4)
    #expect(count(4096, 4096, 4096) == 64)
    #expect(count(3, 3, 1 << 40) == 1)
  }

  @Test("Empty extents give zeros, wrong ones an error with both sizes")
  func sizes() throws {
    let a = Matrix<Double>(rows: 2, columns: 0, values: [])
    let b = Matrix<Double>(rows: 0, columns: 3, values: [])
    #expect(try a.multiplied(by: b).values == [0, 0, 0, 0, 0, 0])
    #expect {
      try b.multiplied(by: b)
    } throws: {
      "\($0)".contains("0 × 3")
    }
  }

  @Test("A NaN reaches the result, and nothing else does from uninitialised memory")
  func nan() throws {
    var a = Matrix<Float>(rows: 3, columns: 3, repeating: 1)
    a[1, 1] = .nan
    let product = try a.multiplied(by: .identity(3))
    #expect(product[0, 0] == 1 && product[1, 1].isNaN && product[2, 2] == 1)
  }
}
