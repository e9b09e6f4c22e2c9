import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("Gram matrices")
struct SyrkTests {
  @Test(
    "Both orientations equal plain loops and are symmetric",
    arguments: [(1, 1), (40, 9), (30, 300)])
  func againstReference(_ rows: Int, _ columns: Int) throws {
    var random = PortableRandom(UInt64(rows))
    let x = random.normal(rows, columns)
    let gram = try Syrk.gram(x)
    let plain = Syrk.reference(x)
    #expect(distance(gram, plain) < 1e-13 * frobenius(plain))
    #expect(gram == gram.transposed)
    let outer = try Syrk.gram(x, ofRows: true)
    let plainOuter = Syrk.reference(x.transposed)
    #expect(distance(outer, plainOuter) < 1e-13 * frobenius(plainOuter))
    #expect(outer == outer.transposed)
  }

  @Test("One and two workers give the same bits")
  func sameBits() throws {
    var random = PortableRandom(9)
    let x = random.normal(600, 530).single
    let pool = WorkerPool(workers: 2)
    #expect(try Syrk.gram(x).values == Syrk.gram(x, pool: pool).values)
    #expect(try Syrk.gramInDouble(x).values == Syrk.gramInDouble(x, pool: pool).values)
    #expect(try Syrk.gram(x, ofRows: true).values == Syrk.gram(x, ofRows: true, pool: pool).values)
  }

  @Test("f64 sums keep what f32 sums lose over many tokens")
  func accumulation() throws {
    var h = Matrix<Double>(rows: 1, columns: 1, repeating: 0x1p24)
    let ones = Matrix<Float>(rows: 1000, columns: 1, repeating: 1)
    try Syrk.accumulate(ones, scale: 0.5, into: &h)
    #expect(h[0, 0] == 0x1p24 + 500)

    var random = PortableRandom(10)
    let x = random.normal(4000, 12).single
    let exact = try Syrk.gram(x.converted(to: Double.self))
    var wide = Matrix<Double>(rows: 12, columns: 12, repeating: 0)
    var narrow = Matrix<Float>(rows: 12, columns: 12, repeating: 0)
    for start in stride(from: 0, to: x.rows, by: 10) {
      let batch = x.rows(start..<start + 10)
      try Syrk.accumulate(batch, into: &wide)
      let product = try Syrk.gram(batch)
      for index in narrow.values.indices { narrow.values[index] += product.values[index] }
    }
    let wideError = distance(wide, exact) / frobenius(exact)
    let narrowError = distance(narrow.converted(to: Double.self), exact) / frobenius(exact)
    #expect(wideError < 2e-8)
    #expect(narrowError > 2e-7)
    #expect(try distance(Syrk.gramInDouble(x), exact) < 2e-7 * frobenius(exact))
  }

  @Test("A wrong accumulator is an error")
  func sizes() {
    var h = Matrix<Double>(rows: 2, columns: 2, repeating: 0)
    let x = Matrix<Float>(rows: 4, columns: 3, repeating: 1)
    #expect(throws: LinearAlgebraError.self) { try Syrk.accumulate(x, into: &h) }
  }
}
