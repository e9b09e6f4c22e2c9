import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import LowRank

@Suite("Low rank: Krylov spaces of narrow blocks")
struct KrylovTests {
  /// ‖W − s·B·A‖_F over the optimum's, less one.
  static func excess(
    _ w: Matrix<Double>, _ spectrum: [Double], rank: Int, _ options: Projection.SketchOptions
  ) throws -> Double {
    let narrow = Matrix<Float>(rounding: w)
    let left = try PrincipalComponents.fast(narrow, rank: rank, options: options).residual(
      of: narrow)
    return Oracle.norm(left.inDouble) / Oracle.tail(spectrum, from: rank) - 1
  }

  @Test("one singular value many times does not stop a space of blocks narrower than the rank")
  func equalValues() throws {
    var random = PortableRandom(5)
    for (many, rest) in [(260, 1.0), (60, 0.1)] {
      let spectrum = (0..<260).map { (index: Int) -> Double in index < many ? 1 : rest }
      let w = try random.matrix(260, 300, spectrum: spectrum)
      // Blocks of 16; W·Wᵀ adds nothing to the first of them, and without new directions the space
      // would end at 16 of the 32: an excess of 0.03 and 0.2.
      #expect(try Self.excess(w, spectrum, rank: 32, .init(seed: 1)) < 1e-3)
    }
  }

  @Test("a spectrum that f32 cannot square is decomposed in f64")
  func steep() throws {
    var random = PortableRandom(6)
    let spectrum = (0..<200).map { index -> Double in
      let place = Double(index)
      return index < 4 ? 100 / (place + 1) : 0.1 / place
    }
    for (rows, columns) in [(200, 210), (210, 200)] {
      let w = try random.matrix(rows, columns, spectrum: spectrum)
      #expect(try Self.excess(w, spectrum, rank: 12, .init(seed: 2)) < 0.05)
    }
  }

  @Test("rounding the products to bf16 costs nothing that can be seen, wide and tall")
  func halfProducts() throws {
    var random = PortableRandom(9)
    let spectrum = (0..<300).map { 1 / Double($0 + 1).squareRoot() }
    for (rows, columns) in [(300, 410), (410, 300)] {
      let w = try random.matrix(rows, columns, spectrum: spectrum)
      let options = Projection.SketchOptions(seed: 3)
      let found = try Self.excess(w, spectrum, rank: 32, options)
      // The same in f64, which has no bf16 road.
      let wide = try PrincipalComponents.fast(w, rank: 32, options: options)
      let exact =
        Oracle.norm(try wide.residual(of: w)) / Oracle.tail(spectrum, from: 32) - 1
      #expect(found > -1e-6 && abs(found - exact) < 1e-4)
      #expect(zip(wide.singularValues, spectrum).allSatisfy { abs($0 - $1) < 0.05 * $1 })
    }
  }

  @Test("a weight that the factors hold whole is not left to bf16")
  func heldWhole() throws {
    var random = PortableRandom(10)
    for (rows, columns) in [(300, 410), (410, 300)] {
      let w = try random.matrix(rows, columns, spectrum: (0..<6).map { 1 / Double($0 + 1) })
      let narrow = Matrix<Float>(rounding: w)
      let factors = try PrincipalComponents.fast(narrow, rank: 8)
      let left = Oracle.norm(try factors.residual(of: narrow).inDouble)
      #expect(left < 2e-6)
      // Factors whose entries were rounded to bf16 would leave a thousand times as much.
      guard HalfProducts.isAvailable else { continue }
      let half = HalfProducts(narrow)
      let image = half.multipliedTransposed(
        by: try OrthonormalBasis.of(factors.b.columns(0..<6)))
      let sharp = try narrow.multiplied(
        by: OrthonormalBasis.of(factors.b.columns(0..<6)), transposeSelf: true)
      #expect(Oracle.norm(image.inDouble.subtracting(sharp.inDouble)) > 1e-4)
    }
  }

  @Test("weights that are not finite, zero, or beyond f32's squares")
  func extremes() throws {
    var random = PortableRandom(11)
    let w = Matrix<Float>(rounding: random.normal(300, 410))
    var broken = w
    broken[200, 300] = .nan
    #expect(throws: LowRankError.self) { try PrincipalComponents.fast(broken, rank: 8) }
    broken[200, 300] = .infinity
    #expect(throws: LowRankError.self) { try PrincipalComponents.fast(broken, rank: 8) }
    let zero = Matrix<Float>(rows: 300, columns: 410, repeating: 0)
    #expect(try PrincipalComponents.fast(zero, rank: 8).b.values.allSatisfy { $0 == 0 })
    let plain = try PrincipalComponents.fast(w, rank: 8).residual(of: w)
    for factor in [Float(0x1p-50), 0x1p-20, 0x1p20, 0x1p30] {
      let scaled = w.scalingRows(by: [Float](repeating: factor, count: 300))
      let left = try PrincipalComponents.fast(scaled, rank: 8).residual(of: scaled)
      let ratio = Oracle.norm(left.inDouble) / Double(factor) / Oracle.norm(plain.inDouble)
      #expect(abs(ratio - 1) < 1e-4, "\(factor)")
    }
  }

  @Test("the bases are orthonormal, whatever the candidates are")
  func orthonormal() throws {
    var random = PortableRandom(7)
    var basis = KrylovBasis<Float>(rows: 96, seed: 1, stream: 0, pool: .serial)
    let first = Matrix<Float>(rounding: random.normal(96, 16))
    // New; the same again; nearly the same; of rank one; zeros; too wide for the room left.
    let near = Matrix<Float>(rounding: random.normal(96, 16)).scalingColumns(
      by: [Float](repeating: 1e-4, count: 16))
    var sum = first
    for index in sum.values.indices { sum.values[index] += near.values[index] }
    let flat = Matrix<Float>(
      rows: 96, columns: 16, values: (0..<96).flatMap { [Float](repeating: Float($0), count: 16) })
    for candidate in [
      first, first, sum, flat, Matrix(rows: 96, columns: 16, repeating: 0),
      Matrix<Float>(rounding: random.normal(96, 40)),
    ] {
      #expect(try basis.append(candidate) != nil)
    }
    #expect(try basis.append(first) == nil)
    let q = basis.matrix.inDouble
    #expect(q.columns == 96)
    let gram = try q.multiplied(by: q, transposeSelf: true)
    #expect(Oracle.norm(gram.subtracting(.identity(96))) < 1e-3)
  }

  @Test("a product taken off in place is the product taken off")
  func subtracting() throws {
    var random = PortableRandom(8)
    for (m, k, n) in [(5, 3, 4), (200, 60, 130), (7, 0, 3)] {
      let (a, b) = (random.normal(m, k), random.normal(k, n))
      let target = random.normal(m, n)
      var inPlace = target
      try Gemm.subtract(a, b, from: &inPlace, pool: WorkerPool(workers: 2))
      #expect(Oracle.norm(inPlace.subtracting(target.subtracting(Gemm.reference(a, b)))) < 1e-11)
      var turned = target
      try Gemm.subtract(
        a.transposed, transposed: true, b.transposed, transposed: true, from: &turned)
      #expect(Oracle.norm(turned.subtracting(inPlace)) < 1e-11)
    }
    var wrong = random.normal(3, 3)
    #expect(throws: LinearAlgebraError.self) {
      try Gemm.subtract(random.normal(3, 2), random.normal(2, 4), from: &wrong)
    }
  }
}
