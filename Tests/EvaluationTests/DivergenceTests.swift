import Evaluation
import Foundation
import Models
import Testing

@Suite struct DivergenceTests {
  @Test func aModelDoesNotDivergeFromItself() throws {
    let windows = try Nano.windows(.init(sequences: 16)).windows
    let scores = try WindowScoring.run(
      [Nano.model()], reference: Nano.model(), windows: windows)[0]
    #expect(scores.divergences.allSatisfy { $0 == 0 })
    #expect(scores.agreements.allSatisfy { $0 })
    #expect(scores.negativeLogLikelihoods == scores.referenceNegativeLogLikelihoods)
  }

  /// Tiles with a running maximum against whole rows in f64.
  @Test func tilesEqualWholeRows() throws {
    let windows = try Nano.windows(.init(sequences: 4)).windows
    let (model, reference) = (try Nano.model(bits: 3), try Nano.model())
    let scores = try WindowScoring.run([model], reference: reference, windows: windows)[0]
    var index = 0
    for window in windows {
      let batch = TokenBatch([window.tokens])
      let q = try model.logits(of: model.hiddenStates(of: batch))
      let p = try reference.logits(of: reference.hiddenStates(of: batch))
      for row in 0..<window.tokens.count - 1 {
        let (a, b) = (
          logSoftmax(p.values[p.range(ofRow: row)]), logSoftmax(q.values[q.range(ofRow: row)])
        )
        let expected = zip(a, b).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        #expect(abs(scores.divergences[index] - expected) < 1e-6 + 1e-5 * expected)
        let target = Int(window.tokens[row + 1])
        #expect(abs(scores.negativeLogLikelihoods[index] + b[target]) < 2e-5)
        #expect(abs(scores.referenceNegativeLogLikelihoods[index] + a[target]) < 2e-5)
        index += 1
      }
    }
    #expect(index == scores.count)
  }

  @Test func fewerBitsDivergeMore() throws {
    let windows = try Nano.windows(.init(sequences: 24)).windows
    let scores = try WindowScoring.run(
      [Nano.model(bits: 8), Nano.model(bits: 4), Nano.model(bits: 2)], reference: Nano.model(),
      windows: windows)
    let bootstrap = Bootstrap(windows: 24)
    let found = scores.map { Divergence($0, bootstrap: bootstrap) }
    #expect(found[0].mean.value < 1e-3)
    #expect(found[1].mean.value > 10 * found[0].mean.value)
    #expect(found[2].mean.value > 5 * found[1].mean.value)
    #expect(found[0].agreement.value > found[2].agreement.value)
    #expect(found[2].perplexityRatio.value > 1.1)
    for divergence in found {
      #expect(divergence.median.value <= divergence.percentile90.value)
      #expect(divergence.percentile99.value <= divergence.maximum.value)
      #expect(divergence.mean.standardError < divergence.mean.value)
    }
  }

  private func logSoftmax(_ row: ArraySlice<Float>) -> [Double] {
    let largest = Double(row.max() ?? 0)
    let normalizer = largest + log(row.reduce(0.0) { $0 + exp(Double($1) - largest) })
    return row.map { Double($0) - normalizer }
  }
}
