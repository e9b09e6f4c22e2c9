import LinearAlgebra
import Tensors
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
    // Ones and a small column: the f32 sum of 2^24 + 1 ones stands still, in miniature here by a
    // large first contribution.
    var h = Matrix<Double>(rows: 1, columns: 1, repeating: 0x1p24)
    let ones = Matrix<Float>(rows: 1000, columns: 1, repeating: 1)
    try Syrk.accumulate(ones, scale: 0.5, into: &h)
    #expect(h[0, 0] == 0x1p24 + 500)

    var random = PortableRandom(10)
    let x = random.normal(5000, 40)
    let exact = try Syrk.gram(x.single.converted(to: Double.self))
    let wide = try Syrk.gramInDouble(x.single)
    let narrow = try Syrk.gram(x.single).converted(to: Double.self)
    #expect(distance(wide, exact) < 2e-7 * frobenius(exact))
    #expect(distance(wide, exact) < distance(narrow, exact))
  }

  @Test("A wrong accumulator is an error")
  func sizes() {
    var h = Matrix<Double>(rows: 2, columns: 2, repeating: 0)
    let x = Matrix<Float>(rows: 4, columns: 3, repeating: 1)
    #expect(throws: LinearAlgebraError.self) { try Syrk.accumulate(x, into: &h) }
  }
}
