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
