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
    // A large update arrives where the grid has room for it: a quarter of the principal part taken
    // away moves codes towards the middle.
    var inward = quantized
    inward.lowRank = try PlainSVD.repair(
      .dense(Matrix(rows: Sample.rows, columns: Sample.columns, repeating: 0)),
      original: original, rank: 2
    ).lowRank
    inward.lowRank[0].scale = -0.25
    let (moved, second) = PathMerging.merged(inward)
    let other = try #require(second)
    #expect(other.changed > 2 * report.changed && other.survived > 2 * report.survived)
    #expect(other.survived > 0.5 && other.relativeError < 0.5 * report.relativeError)
    #expect(
      Sample.error(inward.decoded(), moved.decoded())
        < Sample.error(inward.decoded(), quantized.decoded()))
    // The same quarter added goes outwards, where the largest codes stand at the grid's ends already:
    // as large, and most of it is cut off there. The size of an update alone saves nothing.
    var outward = inward
    outward.lowRank[0].scale = 0.25
    let cut = try #require(PathMerging.merged(outward).report)
    #expect(cut.changed > 2 * report.changed && cut.clipped > 5 * other.clipped)
    #expect(cut.survived < 0.5 * other.survived)
    let (same, none) = PathMerging.merged(quantized)
    #expect(none == nil && same.sharesBase(with: quantized))
  }
}
