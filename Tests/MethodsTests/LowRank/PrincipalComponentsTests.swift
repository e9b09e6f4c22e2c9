import LinearAlgebra
import Tensors
import TestSupport
import Testing
import Weights

@testable import LowRank

@Suite("Low rank: principal components")
struct PrincipalComponentsTests {
  static let shapes = [(96, 160), (120, 120), (160, 96)]

  @Test("every residual initialiser splits exactly, whatever alpha (check 1)")
  func splits() throws {
    for (rows, columns) in Self.shapes {
      var random = PortableRandom(1)
      let w = try random.weight(rows, columns)
      let covariance = try Oracle.gram(Oracle.inputs(&random, 400, columns))
      for scale in [1.0, 2, 0.5, 16 / 16.0.squareRoot()] {
        let all: [ThinFactors<Double>] = [
          try PrincipalComponents.exact(w, rank: 16, scale: scale),
          try PrincipalComponents.fast(w, rank: 16, scale: scale),
          try PrincipalComponents.minor(w, rank: 16, scale: scale),
          try ContextOriented.factors(
            w, covariance: covariance, rank: 16, mode: .instruction, scale: scale),
          try ContextOriented.factors(
            w, covariance: covariance, rank: 16, mode: .knowledge, scale: scale),
        ]
        for factors in all {
          let whole = Oracle.sum(try factors.residual(of: w), try factors.dense)
          #expect(Oracle.relative(whole, w) < 1e-13)
        }
      }
      // A kernel stored in × out: decomposed as its transpose, and put back.
      let turned = try PrincipalComponents.exact(w.transposed, rank: 16)
      let straight = try PrincipalComponents.exact(w, rank: 16)
      #expect(Oracle.relative(try turned.dense.transposed, try straight.dense) < 1e-12)
      let single = Matrix<Float>(rounding: w)
      let factors = try PrincipalComponents.exact(single, rank: 16)
      let whole = Oracle.sum(
        try factors.residual(of: single).inDouble, try factors.product().inDouble)
      #expect(Oracle.relative(whole, single.inDouble) < 1e-6)
    }
  }

  @Test("the exact split's identities and the oracle's norm (check 3)")
  func identities() throws {
    for (rows, columns) in [(96, 160), (160, 96)] {
      for scale in [1.0, 0.5, 6] {
        var random = PortableRandom(1)
        let w = try random.weight(rows, columns)
        let factors = try PrincipalComponents.exact(w, rank: 16, scale: scale)
        let residual = try factors.residual(of: w)
        let spectrum = try #require(factors.spectrum)
        #expect(abs(Oracle.norm(residual) - 0.64235877791) < 1e-10)
        #expect(abs(Oracle.norm(residual) - Oracle.tail(spectrum, from: 16)) < 1e-12)
        #expect(abs(try SVD.exact(residual).singularValues[0] - spectrum[16]) < 1e-12)
        let left = try factors.b.multiplied(by: factors.b, transposeSelf: true)
        let right = try factors.a.multiplied(by: factors.a, transposeOther: true)
        for row in 0..<16 {
          for column in 0..<16 {
            let expected = row == column ? spectrum[row] / scale : 0
            #expect(abs(left[row, column] - expected) < 1e-12)
            #expect(abs(right[row, column] - expected) < 1e-12)
          }
        }
        let crossed = try factors.a.multiplied(by: residual, transposeOther: true)
        #expect(Oracle.norm(crossed) < 1e-12)
        #expect(Oracle.norm(try factors.b.multiplied(by: residual, transposeSelf: true)) < 1e-12)
      }
    }
  }

  @Test("the sketch: never below the optimum, near it, the same bits again (check 4)")
  func sketched() throws {
    var random = PortableRandom(1)
    let w = try random.weight(96, 160)
    let optimum = 0.64235877791
    for iterations in [0, 1, 2, 4, 8, 16] {
      for oversample in [0, 10] {
        let options = Projection.SketchOptions(
          iterations: iterations, oversample: oversample, seed: 7)
        let factors = try PrincipalComponents.fast(w, rank: 16, options: options)
        let residual = try factors.residual(of: w)
        let excess = Oracle.norm(residual) / optimum - 1
        #expect(Oracle.relative(Oracle.sum(residual, try factors.dense), w) < 1e-13)
        #expect(excess > -1e-10)
        // What torch.svd_lowrank reaches without oversampling, recorded by the oracle.
        let peer = try #require(
          Oracle.figures[
            "pissa_randomized/q=r niter \(iterations < 10 ? " " : "")\(iterations): |W_res|_F/optimum - 1"
          ])
        #expect(excess < 1.25 * peer, "\(iterations) iterations, \(oversample) more columns")
        if iterations == 0, oversample == 0 { #expect(excess > 0.05) }
        let again = try PrincipalComponents.fast(
          w, rank: 16, options: options, pool: WorkerPool(workers: 2))
        #expect(again.a == factors.a && again.b == factors.b)
      }
    }
  }

  @Test("both roads of the sketch find a matrix of low rank exactly, without iterations too")
  func lowRankInput() throws {
    var random = PortableRandom(3)
    for (rows, columns) in [(40, 300), (300, 280)] {
      let w = try random.matrix(rows, columns, spectrum: (0..<6).map { 1 / Double($0 + 1) })
      for iterations in [0, 1, 4] {
        let factors = try PrincipalComponents.fast(
          w, rank: 6,
          options: Projection.SketchOptions(iterations: iterations, oversample: 4, seed: 1))
        #expect(Oracle.norm(try factors.residual(of: w)) < 1e-9)
      }
    }
  }

  @Test("rounding the factors first leaves half an ulp of the residual (check 2)")
  func roundingFirst() throws {
    let w = Sample.matrix()
    for type in [DType.bf16, .f16] {
      let factors = try PrincipalComponents.exact(w, rank: 8)
      let path = try factors.path(as: .dense(type))
      let before = w.subtracting(path.decoded())
      let stored = CompressedWeight.dense(before, as: type).decodedBase()
      let steps = type == .bf16 ? 0x1p-8 : 0x1p-11
      for (index, value) in before.values.enumerated() {
        #expect(abs(Double(stored.values[index] - value)) <= abs(Double(value)) * steps + 1e-7)
      }
      // PEFT's order: the residual of the unrounded factors, rounded factors beside it.
      let late = w.subtracting(try factors.product())
      let lateStored = CompressedWeight.dense(late, as: type).decodedBase()
      func error(_ base: Matrix<Float>) -> Double {
        Sample.error(
          w,
          Matrix(
            rows: w.rows, columns: w.columns,
            values: zip(base.values, path.decoded().values).map { $0 + $1 }))
      }
      #expect(error(lateStored) > 1.3 * error(stored))
    }
  }

  @Test("a trained adapter becomes a plain one of twice the rank (check 5)")
  func conversion() throws {
    var random = PortableRandom(1)
    let w = try random.weight(96, 160)
    random = PortableRandom(11)
    for (alpha, stabilised) in [(8.0, false), (16, false), (16, true)] {
      let scale = alpha / (stabilised ? 8.0.squareRoot() : 8)
      let initial = try PrincipalComponents.exact(w, rank: 8, scale: scale)
      let residual = try initial.residual(of: w)
      var trained = initial
      trained.a = Oracle.sum(initial.a, scaled(random.normal(8, 160)))
      trained.b = Oracle.sum(initial.b, scaled(random.normal(96, 8)))
      let plain = try AdapterConversion.plain(initial: initial, trained: trained)
      #expect(plain.rank == 16)
      let target = Oracle.sum(residual, try trained.dense)
      #expect(Oracle.relative(Oracle.sum(w, try plain.dense), target) < 1e-14)
      let newAlpha = AdapterConversion.alpha(alpha, rankStabilised: stabilised)
      #expect(abs(newAlpha / (stabilised ? 16.0.squareRoot() : 16) - scale) < 1e-14)
      let none = try AdapterConversion.plain(initial: initial, trained: initial)
      #expect(Oracle.norm(try none.dense) < 1e-14)
    }
    #expect(throws: LowRankError.self) {
      try AdapterConversion.plain(
        initial: PrincipalComponents.exact(w, rank: 8),
        trained: PrincipalComponents.exact(w, rank: 4))
    }
  }

  private func scaled(_ matrix: Matrix<Double>) -> Matrix<Double> {
    matrix.scalingRows(by: [Double](repeating: 0.01, count: matrix.rows))
  }

  @Test("MiLoRA takes the last components")
  func minor() throws {
    var random = PortableRandom(81)
    let w = try random.weight(96, 160)
    let factors = try PrincipalComponents.minor(w, rank: 16, scale: 2)
    #expect(abs(Oracle.norm(try factors.dense) - 0.17385742135) < 1e-10)
    #expect(abs(try SVD.exact(factors.residual(of: w)).singularValues[0] - 1) < 1e-12)
  }

  @Test("degenerate inputs are refused or harmless")
  func degenerate() throws {
    let zero = Matrix<Double>(rows: 8, columns: 12, repeating: 0)
    for factors in [
      try PrincipalComponents.exact(zero, rank: 4), try PrincipalComponents.fast(zero, rank: 4),
    ] {
      #expect(Oracle.norm(factors.a) == 0 && Oracle.norm(factors.b) == 0)
      #expect(factors.isDead)
    }
    var random = PortableRandom(95)
    var w = try random.weight(6, 4)
    #expect(Oracle.norm(try PrincipalComponents.exact(w, rank: 4).residual(of: w)) < 1e-14)
    for rank in [0, -1, 5, 9] {
      #expect(throws: LowRankError.rankOutOfRange(rank: rank, rows: 6, columns: 4)) {
        try PrincipalComponents.exact(w, rank: rank)
      }
    }
    for bad in [Double.nan, .infinity] {
      w[0, 1] = bad
      #expect(throws: LowRankError.weights(.notFinite(row: 0, column: 1))) {
        try PrincipalComponents.exact(w, rank: 2)
      }
    }
  }
}
