import Foundation
import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import LowRank

@Suite("Low rank: decompositions weighted by data")
struct WeightedDecompositionTests {
  @Test("CorDA: tail identities, C = I, scaled C, the oracle's figures (check 8)")
  func corda() throws {
    for rows in [96, 160, 200] {
      var random = PortableRandom(31)
      let w = try random.weight(rows, 160)
      let x = try Oracle.inputs(&random, 1024, 160)
      let covariance = try Oracle.gram(x)
      let mean = (0..<160).reduce(0) { $0 + covariance[$1, $1] } / 160
      var damped = covariance
      for index in 0..<160 { damped[index, index] += 0.01 * mean }
      for mode in ContextOriented.Mode.allCases {
        let factors = try ContextOriented.factors(
          w, covariance: covariance, rank: 16, mode: mode, scale: 2)
        let part = mode == .instruction ? try factors.residual(of: w) : try factors.dense
        let weighted = Oracle.norm(try part.multiplied(by: damped)) / mean
        let spectrum = try #require(factors.spectrum)
        let expected =
          mode == .instruction
          ? Oracle.tail(spectrum, from: 16)
          : factors.singularValues.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(weighted / expected - 1) < 1e-9)
        let thousandfold = covariance.scalingRows(by: [Double](repeating: 1000, count: 160))
        let same = try ContextOriented.factors(
          w, covariance: thousandfold, rank: 16, mode: mode, scale: 2)
        #expect(Oracle.relative(try same.dense, try factors.dense) < 1e-9)
      }
      let flat = try ContextOriented.factors(
        w, covariance: .identity(160), rank: 16, mode: .instruction)
      let pissa = try PrincipalComponents.exact(w, rank: 16)
      #expect(Oracle.relative(try flat.dense, try pissa.dense) < 1e-9)
      guard rows == 96 else { continue }
      func moved(_ mode: ContextOriented.Mode) throws -> ThinFactors<Double> {
        try ContextOriented.factors(w, covariance: covariance, rank: 16, mode: mode)
      }
      let whole = try Oracle.outputError(w, x)
      let instruction = try moved(.instruction)
      #expect(
        abs(try Oracle.outputError(instruction.residual(of: w), x) / 3.3710661612 - 1) < 1e-8)
      #expect(abs(try Oracle.outputError(pissa.residual(of: w), x) / 7.5876036492 - 1) < 1e-8)
      #expect(abs(try Oracle.outputError(moved(.knowledge).dense, x) / whole - 0.0377) < 1e-4)
      #expect(abs(try Oracle.outputError(instruction.dense, x) / whole - 0.9768) < 1e-4)
    }
  }

  @Test("CorDA refuses statistics of nothing, and says when an adapter is dead")
  func cordaEdges() throws {
    var random = PortableRandom(31)
    let w = try random.weight(96, 160)
    let few = try Oracle.gram(Oracle.inputs(&random, 20, 160))
    let factors = try ContextOriented.factors(w, covariance: few, rank: 16, mode: .instruction)
    let whole = Oracle.sum(try factors.residual(of: w), try factors.dense)
    #expect(Oracle.relative(whole, w) < 1e-12)
    #expect(!factors.isDead)
    let zero = Matrix<Double>(rows: 160, columns: 160, repeating: 0)
    #expect(throws: LowRankError.weightingZero(method: "corda")) {
      try ContextOriented.factors(w, covariance: zero, rank: 16, mode: .knowledge)
    }
    var bad = few
    bad[3, 4] = .nan
    #expect(throws: LowRankError.weightingNotFinite(method: "corda", index: 3 * 160 + 4)) {
      try ContextOriented.factors(w, covariance: bad, rank: 16, mode: .knowledge)
    }
    #expect(throws: LowRankError.self) {
      try ContextOriented.factors(w, covariance: .identity(96), rank: 16, mode: .knowledge)
    }
    let cut = try PrincipalComponents.exact(w, rank: 40).dense
    let dead = try ContextOriented.factors(cut, covariance: few, rank: 16, mode: .knowledge)
    #expect(dead.isDead)
    #expect(Oracle.norm(try dead.dense) < 1e-9)
  }

  @Test("SVD-LLM: the loss is the dropped σ², within budget, below any diagonal (check 11)")
  func svdLLM() throws {
    var random = PortableRandom(51)
    let w = try random.weight(96, 160)
    let x = try Oracle.inputs(&random, 1024, 160)
    let gram = try Oracle.gram(x)
    let budgeted = Factorization.rank(rows: 96, columns: 160, keeping: 0.8)
    #expect(budgeted == 48 && Double(budgeted * 256) <= 0.8 * 96 * 160)
    func error(_ weighting: InputWeighting, _ rank: Int) throws -> (Double, ThinFactors<Double>) {
      let factors = try Factorization.factors(w, weighting: weighting, rank: rank).factors
      return (try Oracle.outputError(w.subtracting(factors.dense), x), factors)
    }
    for (rank, figure) in [(8, 4.4648934836), (48, 1.3732392322)] {
      let (best, factors) = try error(.gram(gram), rank)
      #expect(abs(best / figure - 1) < 1e-8)
      #expect(abs(best / Oracle.tail(try #require(factors.spectrum), from: rank) - 1) < 1e-9)
      let means = (0..<160).map { column in
        (0..<1024).reduce(0.0) { $0 + abs(x[$1, column]) } / 1024
      }
      for weighting in [
        InputWeighting.none, .diagonal(means.map { $0.squareRoot() + 1e-6 }),
        .diagonal((0..<160).map { gram[$0, $0].squareRoot() }),
      ] {
        let other = try error(weighting, rank).0
        #expect(other > best)
      }
    }
  }

  @Test("FWSVD: optimal in its norm, constant Fisher, the right axis (check 12)")
  func fwsvd() throws {
    var random = PortableRandom(61)
    let w = try random.weight(96, 160)
    var fisher = Matrix<Double>(rows: 96, columns: 160, repeating: 0)
    for _ in 0..<32 {
      let draw = random.normal(96, 160)
      for row in 0..<96 {
        for column in 0..<160 {
          let gradient = draw[row, column] * pow(Double(column + 1), -0.8)
          fisher[row, column] += gradient * gradient
        }
      }
    }
    let roots = Factorization.fisherRoots(fisher)
    #expect(roots.count == 160)
    let factors = try Factorization.factors(w, weighting: .diagonal(roots), rank: 16).factors
    func weighted(_ product: Matrix<Double>) -> Double {
      Oracle.norm(w.subtracting(product).scalingColumns(by: roots))
    }
    let plain = try Factorization.factors(w, weighting: .none, rank: 16).factors.dense
    #expect(abs(weighted(try factors.dense) / 1.7618590902 - 1) < 1e-8)
    #expect(abs(weighted(plain) / 4.4253121247 - 1) < 1e-8)
    #expect(
      abs(weighted(try factors.dense) / Oracle.tail(try #require(factors.spectrum), from: 16) - 1)
        < 1e-10)
    func product(_ fisher: Matrix<Double>) throws -> Matrix<Double> {
      try Factorization.factors(
        w, weighting: .diagonal(Factorization.fisherRoots(fisher)), rank: 16
      ).factors.dense
    }
    let more = fisher.scalingRows(by: [Double](repeating: 37, count: 96))
    #expect(Oracle.relative(try product(more), try factors.dense) < 1e-10)
    let flat = Matrix<Double>(rows: 96, columns: 160, repeating: 1)
    #expect(Oracle.relative(try product(flat), plain) < 1e-10)
    var blind = fisher
    for row in 0..<96 { blind[row, 5] = 0 }
    let left = w.subtracting(try product(blind))
    #expect(abs(Oracle.norm(left.columns(5..<6)) - 0.080) < 1e-3)
  }

  @Test("DARE keeps the mean, drops the share, repeats with its seed (check 15)")
  func dare() throws {
    var random = PortableRandom(83)
    let difference = Matrix<Float>(
      rounding: random.normal(40, 40).scalingRows(by: [Double](repeating: 0.01, count: 40)))
    var mean = Matrix<Double>(rows: 40, columns: 40, repeating: 0)
    var dropped = 0
    for draw in 0..<400 {
      let sparse = try DifferenceSparsification.sparsified(
        difference, dropping: 0.9, seed: 84, stream: UInt32(draw))
      dropped += sparse.values.count { $0 == 0 }
      for index in mean.values.indices { mean.values[index] += Double(sparse.values[index]) / 400 }
    }
    #expect(Oracle.relative(mean, difference.inDouble) < 0.2)
    #expect(abs(Double(dropped) / 640_000 - 0.9) < 0.002)
    let once = try DifferenceSparsification.sparsified(difference, dropping: 0.5, seed: 1)
    #expect(try DifferenceSparsification.sparsified(difference, dropping: 0.5, seed: 1) == once)
    let smallest = try DifferenceSparsification.sparsified(
      difference, dropping: 0.25, strategy: .magnitude, seed: 0)
    #expect(smallest.values.count { $0 == 0 } == 400)
    #expect(throws: LowRankError.self) {
      try DifferenceSparsification.sparsified(difference, dropping: 1, seed: 0)
    }
  }

  @Test("ranks by share of numbers and by energy are the largest and the smallest that fit")
  func ranks() throws {
    var random = PortableRandom(81)
    let spectrum = try SVD.exact(random.weight(96, 160)).singularValues
    let rank = Factorization.rank(spectrum: spectrum, energy: 0.9)
    let figure = try #require(
      Oracle.figures["relatives/smallest rank with 90 % of the squared singular values"])
    #expect(Double(rank) == figure)
    #expect(Factorization.rank(spectrum: spectrum, energy: 1) <= 96)
    #expect(Factorization.rank(rows: 4, columns: 4, keeping: 0.01) == 1)
  }
}
