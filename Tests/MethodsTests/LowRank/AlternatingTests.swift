import LinearAlgebra
import Quantization
import Tensors
import TestSupport
import Testing
import Weights

@testable import LowRank

@Suite("Low rank: quantizer and decomposition in turns")
struct AlternatingTests {
  static func weight() throws -> Matrix<Double> {
    var random = PortableRandom(21)
    let w = try random.weight(128, 256)
    return w.scalingRows(by: [Double](repeating: 0.2, count: 128))
  }

  static func nf4(_ matrix: Matrix<Double>) -> (code: Int, values: Matrix<Double>) {
    (0, Oracle.quantizedNF4(matrix))
  }

  @Test("the oracle's figures of QPiSSA, LoftQ and plain NF4")
  func figures() throws {
    let w = try Self.weight()
    let error = w.subtracting(Oracle.quantizedNF4(w))
    #expect(abs(try Oracle.nuclear(error) / 0.31297449672 - 1) < 1e-8)
    #expect(abs(Oracle.norm(error) / 0.030691932380 - 1) < 1e-8)
    let plain = try Oracle.nuclear(error)
    for turns in [1, 2, 5] {
      let one = try AlternatingQuantization.qpissa(
        w, rank: 16, iterations: turns, quantizer: Self.nf4)
      let other = try AlternatingQuantization.loftq(
        w, rank: 16, iterations: turns, quantizer: Self.nf4)
      #expect(one.history.count == turns && other.history.count == turns)
      // The best iterate: the oracle's figure where its last one is the best.
      let left = Oracle.quantizedNF4(try one.factors.residual(of: w))
      let reduction =
        100
        * (1 - (try Oracle.nuclear(w.subtracting(left).subtracting(one.factors.dense))) / plain)
      let figure = try #require(
        Oracle.figures[
          "quant_aware/QPiSSA r16 iters \(turns): reduction ratio (1 - nuc/nuc_plain), %"])
      if one.best == turns - 1 { #expect(abs(reduction - figure) < 1e-6) }
      #expect(reduction > 50)
      #expect(zip(one.history, one.history.indices).allSatisfy { $0.0 >= one.history[one.best] })
    }
  }

  @Test("QPiSSA ends on the quantizer, LoftQ on the decomposition (check 6)")
  func ends() throws {
    let w = try Self.weight()
    func coded(_ matrix: Matrix<Double>) -> (code: Matrix<Double>, values: Matrix<Double>) {
      let values = Oracle.quantizedNF4(matrix)
      return (values, values)
    }
    let qpissa = try AlternatingQuantization.qpissa(
      w, rank: 16, iterations: 5, quantizer: coded)
    #expect(qpissa.code == Oracle.quantizedNF4(try qpissa.factors.residual(of: w)))
    let once = try AlternatingQuantization.qpissa(w, rank: 16, iterations: 1, quantizer: coded)
    let pissa = try PrincipalComponents.exact(w, rank: 16)
    #expect(once.code == Oracle.quantizedNF4(try pissa.residual(of: w)))
    let loftq = try AlternatingQuantization.loftq(w, rank: 16, iterations: 5, quantizer: coded)
    let spectrum = try SVD.exact(w.subtracting(loftq.code)).singularValues
    #expect(abs(loftq.history[loftq.best] - Oracle.tail(spectrum, from: 16)) < 1e-12)
    #expect(loftq.history[loftq.best] == loftq.history.min())
    let full = try AlternatingQuantization.loftq(w, rank: 128, iterations: 1, quantizer: coded)
    #expect(full.history[0] < 1e-12)
    #expect(throws: LowRankError.self) {
      try AlternatingQuantization.loftq(w, rank: 16, iterations: 0, quantizer: coded)
    }
  }

  @Test("more turns are not better: the best is returned")
  func notMonotone() throws {
    var random = PortableRandom(100)
    let w = try random.weight(64, 64)
    let result = try AlternatingQuantization.loftq(w, rank: 16, iterations: 8) {
      let values = Oracle.rounded($0, bits: 2)
      return (0, values)
    }
    let last = try #require(result.history.last)
    #expect(last > result.history[result.best])
  }

  @Test("factors are divided by s, so alpha does not change the start (check 7)")
  func scale() throws {
    let w = try Self.weight()
    let plain = try AlternatingQuantization.loftq(w, rank: 64, iterations: 1, quantizer: Self.nf4)
    let scaled = try AlternatingQuantization.loftq(
      w, rank: 64, iterations: 1, scale: 0.25, quantizer: Self.nf4)
    #expect(abs(plain.history[0] - scaled.history[0]) < 1e-12)
    let undivided = w.subtracting(Oracle.quantizedNF4(w)).subtracting(
      try plain.factors.dense.scalingRows(by: [Double](repeating: 0.25, count: 128)))
    #expect(Oracle.norm(undivided) > 1.5 * plain.history[0])
    let lorc = try ErrorCompensation.factors(
      w.subtracting(Oracle.quantizedNF4(w)), weighting: .none, rank: 64, scale: 0.25
    ).factors
    #expect(Oracle.relative(try lorc.dense, try plain.factors.dense) < 1e-12)
  }

  @Test("as a stage: codes of the next stage's quantizer, half-precision factors inside the loop")
  func stage() throws {
    let original = Sample.matrix()
    let scheme = try Sample.scheme(3)
    func quantize(_ matrix: Matrix<Float>) throws -> CompressedWeight {
      try RoundToNearest.quantize(.dense(matrix), scheme: scheme)
    }
    let plain = Sample.error(original, try quantize(original).decoded())
    for method in [LowRankChoice.Method.qpissa, .loftq] {
      let choice = LowRankChoice(method: method, rank: .fixed(8), iterations: 3)
      let (weight, notes) = try LowRankStage.run(
        choice, on: .dense(original), original: original, quantizer: quantize)
      try weight.validate()
      #expect(weight.base?.isQuantized == true && weight.lowRank.count == 1)
      #expect(notes.count == 1)
      #expect(Sample.error(original, weight.decoded()) < 0.8 * plain)
      #expect(throws: LowRankError.self) {
        try LowRankStage.run(choice, on: .dense(original), original: original)
      }
    }
  }
}
