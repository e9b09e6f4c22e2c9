import Quantization
import Tensors
import Testing
import Weights

@testable import LowRank

@Suite("Low rank: paths folded into the base")
struct MergingTests {
  @Test("a dense base takes the whole path")
  func dense() throws {
    let original = Sample.matrix()
    let weight = try PlainSVD.decompose(.dense(original), original: original, rank: 6)
    let (merged, report) = PathMerging.merged(weight)
    #expect(report == nil && merged.lowRank.isEmpty)
    #expect(Sample.error(weight.decoded(), merged.decoded()) < 1e-6)
  }

  @Test("an integer base takes what reaches the next code, and the report says how much")
  func integer() throws {
    let original = Sample.matrix()
    let quantized = try RoundToNearest.quantize(.dense(original), scheme: Sample.scheme(4))
    let repaired = try PlainSVD.repair(quantized, original: original, rank: 8)
    let (merged, found) = PathMerging.merged(repaired)
    try merged.validate()
    let report = try #require(found)
    #expect(merged.lowRank.isEmpty && report.codes == Sample.rows * Sample.columns)
    // A repair is smaller than half a step nearly everywhere: rounding takes it away again.
    #expect(report.changed < report.codes / 10 && report.survived < 0.5)
    #expect(report.relativeError > 0.5)
    // A large update arrives.
    var large = quantized
    large.lowRank = try PlainSVD.repair(
      .dense(Matrix(rows: Sample.rows, columns: Sample.columns, repeating: 0)),
      original: original, rank: 2
    ).lowRank
    large.lowRank[0].scale = 0.25
    let (moved, second) = PathMerging.merged(large)
    let other = try #require(second)
    #expect(other.changed > 2 * report.changed && other.survived > report.survived)
    #expect(
      Sample.error(large.decoded(), moved.decoded())
        < Sample.error(large.decoded(), quantized.decoded()))
    let (same, none) = PathMerging.merged(quantized)
    #expect(none == nil && same.sharesBase(with: quantized))
  }
}
