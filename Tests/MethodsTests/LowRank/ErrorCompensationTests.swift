import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import LowRank

@Suite("Low rank: repairing what a compression lost")
struct ErrorCompensationTests {
  struct Case {
    var x: Matrix<Double>
    var gram: Matrix<Double>
    var weight: Matrix<Double>
  }

  static func example(seed: UInt64 = 41, tokens: Int = 1024) throws -> Case {
    var random = PortableRandom(seed)
    let w = try random.weight(96, 160)
    let x = try Oracle.inputs(&random, tokens, 160)
    return Case(x: x, gram: try Oracle.gram(x), weight: w)
  }

  static func eora(
    _ delta: Matrix<Double>, _ gram: Matrix<Double>, rank: Int = 16
  ) throws -> ThinFactors<Double> {
    try ErrorCompensation.factors(delta, weighting: .gram(gram), rank: rank).factors
  }

  @Test("EoRA: the oracle's figures, below plain SVD on outputs, above it on weights (check 9)")
  func figures() throws {
    let example = try Self.example()
    for (name, compressed, none, plain, best) in [
      ("2:4", Oracle.pruned(example.weight), 7.1550411959, 4.7864522074, 1.9028700917),
      ("rtn3 g32", Oracle.rounded(example.weight), 2.9490734552, 2.2698867613, 0.92514834745),
      (
        "2:4+nf4", Oracle.quantizedNF4(Oracle.pruned(example.weight)),
        Oracle.figures["eora/2:4+nf4: |X d^T|_F with no adapter"] ?? 0,
        Oracle.figures["eora/2:4+nf4: |X (d-BA)^T|_F plain SVD (LoRC)"] ?? 0,
        Oracle.figures["eora/2:4+nf4: |X (d-BA)^T|_F EoRA"] ?? 0
      ),
    ] {
      let delta = example.weight.subtracting(compressed)
      let factors = try Self.eora(delta, example.gram)
      let flat = try ErrorCompensation.factors(delta, weighting: .none, rank: 16).factors
      let left = delta.subtracting(try factors.dense)
      let flatLeft = delta.subtracting(try flat.dense)
      let error = try Oracle.outputError(left, example.x)
      #expect(abs(try Oracle.outputError(delta, example.x) / none - 1) < 1e-8, "\(name)")
      #expect(abs(try Oracle.outputError(flatLeft, example.x) / plain - 1) < 1e-8, "\(name)")
      #expect(abs(error / best - 1) < 1e-8, "\(name)")
      #expect(Oracle.norm(flatLeft) <= Oracle.norm(left) + 1e-12)
      let spectrum = try #require(factors.spectrum)
      #expect(abs(error / Oracle.tail(spectrum, from: 16) - 1) < 1e-7)
      let bb = try factors.b.multiplied(by: factors.b, transposeSelf: true)
      let aha = try factors.a.multiplied(by: example.gram).multiplied(
        by: factors.a, transposeOther: true)
      for index in 0..<16 {
        #expect(abs(bb[index, index] - spectrum[index]) < 1e-9 * spectrum[0])
        #expect(abs(aha[index, index] - spectrum[index]) < 1e-6 * spectrum[0])
      }
    }
  }

  @Test("one matrix by five roads, the iterative one among them (check 9)")
  func roads() throws {
    let example = try Self.example()
    let delta = example.weight.subtracting(Oracle.pruned(example.weight))
    let expected = try Self.eora(delta, example.gram).dense
    var roads: [String: Matrix<Double>] = [:]
    roads["truncated inverse"] =
      try ErrorCompensation.truncatedInverse(delta, gram: example.gram, rank: 16).dense
    roads["Krylov space"] =
      try Projection.iterative(
        of: delta, weighting: .gram(example.gram), rank: 16,
        options: .init(tolerance: 1e-15, maximumIterations: 200)
      ).factors.dense
    func projected(_ u: Matrix<Double>) throws -> Matrix<Double> {
      try u.multiplied(by: u.multiplied(by: delta, transposeSelf: true))
    }
    let lower = try Cholesky.factor(example.gram).factor
    roads["Cholesky"] = try projected(SVD.exact(delta.multiplied(by: lower), rank: 16).u)
    let r = try QR.thin(example.x).r
    roads["QR of X"] = try projected(
      SVD.exact(delta.multiplied(by: r, transposeOther: true), rank: 16).u)
    let output = try example.x.multiplied(by: delta, transposeOther: true)
    roads["PCA of the error"] = try projected(SVD.exact(output, rank: 16).vt.transposed)
    for (name, road) in roads { #expect(Oracle.relative(road, expected) < 1e-6, "\(name)") }
  }

  @Test("H = I, Δ = 0, H = 0, full rank, growing rank, scaled H (check 10)")
  func edges() throws {
    let example = try Self.example()
    let delta = example.weight.subtracting(Oracle.rounded(example.weight))
    let flat = try ErrorCompensation.factors(delta, weighting: .none, rank: 16).factors.dense
    #expect(Oracle.relative(try Self.eora(delta, .identity(160)).dense, flat) < 1e-8)
    let zero = Matrix<Double>(rows: 96, columns: 160, repeating: 0)
    #expect(Oracle.norm(try Self.eora(zero, example.gram).dense) == 0)
    let nothing = Matrix<Double>(rows: 160, columns: 160, repeating: 0)
    #expect(Oracle.norm(try Self.eora(delta, nothing).dense) == 0)
    #expect(
      Oracle.norm(try ErrorCompensation.truncatedInverse(delta, gram: nothing, rank: 16).dense) == 0
    )
    #expect(Oracle.relative(try Self.eora(delta, example.gram, rank: 96).dense, delta) < 1e-8)
    let scaled = example.gram.scalingRows(by: [Double](repeating: 1e-6, count: 160))
    let expected = try Self.eora(delta, example.gram).dense
    #expect(Oracle.relative(try Self.eora(delta, scaled).dense, expected) < 1e-8)
    let errors = try [1, 4, 16, 32, 64].map {
      try Oracle.outputError(
        delta.subtracting(Self.eora(delta, example.gram, rank: $0).dense), example.x)
    }
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 })
    // A tall weight goes through its QR decomposition.
    let tall = try Projection.factors(
      of: delta.transposed, weighting: .gram(.identity(96)), rank: 16)
    #expect(Oracle.relative(try tall.dense.transposed, flat) < 1e-8)
  }

  @Test("fewer tokens than inputs: both forms are optimal on what was seen")
  func singular() throws {
    let example = try Self.example()
    let seen = example.x.rows(0..<40)
    let gram = try Oracle.gram(seen)
    let delta = example.weight.subtracting(Oracle.pruned(example.weight))
    let projected = try Self.eora(delta, gram).dense
    let truncated = try ErrorCompensation.truncatedInverse(delta, gram: gram, rank: 16).dense
    let errors = try [projected, truncated].map {
      try Oracle.outputError(delta.subtracting($0), seen)
    }
    #expect(abs(errors[0] / 0.27109992 - 1) < 1e-6 && abs(errors[1] / 0.27109992 - 1) < 1e-6)
    #expect(abs(Oracle.norm(delta.subtracting(projected)) - 0.4786) < 1e-4)
    #expect(abs(Oracle.norm(delta.subtracting(truncated)) - 0.5538) < 1e-4)
    var dead = example.x
    for row in 0..<dead.rows { dead[row, 9] = 0 }
    let without = try ErrorCompensation.truncatedInverse(
      delta, gram: Oracle.gram(dead), rank: 16)
    #expect((0..<16).allSatisfy { abs(without.a[$0, 9]) < 1e-12 })
  }

  @Test("spectra that break an explicit inverse stay finite (check 13)")
  func brokenSpectra() throws {
    for order in [8, 16] {
      var random = PortableRandom(5)
      let frame = try random.orthonormal(order, order)
      let delta = random.normal(order, order)
      for spectrum in [
        [1, 1e-12] + [Double](repeating: 0, count: order - 4) + [-1e-8, -1e-6],
        [Double](repeating: -1, count: order),
      ] {
        let gram = try frame.scalingColumns(by: spectrum).multiplied(
          by: frame, transposeOther: true)
        for rank in [2, 4] {
          for factors in [
            try ErrorCompensation.truncatedInverse(delta, gram: gram, rank: rank),
            try Self.eora(delta, gram, rank: rank),
          ] {
            #expect((factors.a.values + factors.b.values).allSatisfy { $0.isFinite })
          }
        }
      }
    }
  }

  @Test("none > LoRC > L²QER > exact on loud channels, as the oracle has them (check 14)")
  func order() throws {
    let example = try Self.example(seed: 71)
    let delta = example.weight.subtracting(Oracle.rounded(example.weight))
    func error(_ weighting: InputWeighting) throws -> Double {
      try Oracle.outputError(
        delta.subtracting(
          ErrorCompensation.factors(delta, weighting: weighting, rank: 16).factors.dense),
        example.x)
    }
    let means = (0..<160).map { column in
      (0..<1024).reduce(0.0) { $0 + abs(example.x[$1, column]) } / 1024
    }
    let roots = (0..<160).map { (example.gram[$0, $0] / 1024).squareRoot() }
    let errors = [
      try Oracle.outputError(delta, example.x), try error(.none),
      try error(.diagonal(ErrorCompensation.scales(absoluteMeans: means))),
      try error(.gram(example.gram)),
    ]
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 })
    let expected = [
      "none", "LoRC = LQER = ZeroQuant-V2 (plain SVD)", "mean|x|", "QERA-exact = EoRA",
    ]
    for (found, name) in zip(errors, expected) {
      let figure = try #require(Oracle.figures["error_compensation/|X e^T|_F \(name)"])
      #expect(abs(found / figure - 1) < 1e-8, "\(name)")
    }
    let approx = try #require(Oracle.figures["error_compensation/|X e^T|_F QERA-approx (rms x)"])
    #expect(abs(try error(.diagonal(roots)) / approx - 1) < 1e-8)
  }

  @Test("a Krylov space in f32 comes within 1e-4 of the optimum and says when it has not")
  func iterative() throws {
    var random = PortableRandom(9)
    let delta = random.normal(256, 320)
    let x = try Oracle.inputs(&random, 640, 320)
    let gram = try Oracle.gram(x)
    let exact = try Self.eora(delta, gram, rank: 24).dense
    let best = try Oracle.outputError(delta.subtracting(exact), x)
    let narrow = Matrix<Float>(rounding: delta)
    func run(_ options: Projection.IterativeOptions) throws -> (Double, IterationReport) {
      let (factors, report) = try Projection.iterative(
        of: narrow, weighting: .gram(gram), rank: 24, options: options)
      return (
        try Oracle.outputError(delta.subtracting(factors.product().inDouble), x) / best - 1, report
      )
    }
    let (excess, report) = try run(.init(seed: 3))
    #expect(report.converged && excess < 1e-4 && excess > -1e-6)
    let (poor, unfinished) = try run(.init(oversample: 0, maximumIterations: 2, seed: 3))
    #expect(!unfinished.converged && poor > 1e-3)
    let (again, _) = try run(.init(seed: 3))
    #expect(again == excess)
  }

  @Test("singular values of a Krylov space are those of the dense solver, whatever M's size is")
  func singularValues() throws {
    var random = PortableRandom(12)
    let delta = random.normal(270, 290)
    let gram = try Oracle.gram(try Oracle.inputs(&random, 580, 290))
    for size in [1.0, 1e5] {
      let larger = gram.scalingRows(by: [Double](repeating: size, count: gram.rows))
      for weighting in [InputWeighting.gram(larger), .covariance(larger), .none] {
        let dense = try Projection.factors(of: delta, weighting: weighting, rank: 24)
        let (found, _) = try Projection.iterative(
          of: Matrix<Float>(rounding: delta), weighting: weighting, rank: 24)
        for (value, exact) in zip(found.singularValues, dense.singularValues) {
          #expect(abs(value / exact - 1) < 2e-3)
        }
      }
    }
  }

  @Test("a spectrum too steep for f32 is finished in f64")
  func steep() throws {
    var random = PortableRandom(10)
    let delta = random.normal(128, 160)
    let frame = try random.orthonormal(160, 160)
    let gram = try frame.scalingColumns(by: (0..<160).map { $0 < 4 ? 1e8 : 1 / Double($0 + 1) })
      .multiplied(by: frame, transposeOther: true)
    func error(_ product: Matrix<Double>) throws -> Double {
      let left = delta.subtracting(product)
      return zip(try left.multiplied(by: gram).values, left.values).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let best = try error(Self.eora(delta, gram, rank: 24).dense)
    let (factors, report) = try Projection.iterative(
      of: Matrix<Float>(rounding: delta), weighting: .gram(gram), rank: 24)
    #expect(report.finishedInDouble)
    // The factors themselves are f32: what is left of the loud directions is their rounding.
    #expect(try error(factors.product().inDouble) < 1.05 * best + 1e8 * 1e-9)
  }
}
