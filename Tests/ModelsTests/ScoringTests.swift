import Architectures
import Foundation
import Models
import Tensors
import Testing

/// e^-x.
func expProbability(_ negativeLogLikelihood: Double) -> Double { exp(-negativeLogLikelihood) }

@Suite struct ScoringTests {
  /// A model whose vocabulary has several tiles and stripes, none of them full.
  static let wide = RandomWeights.llama(
    hidden: 32, layers: 1, heads: 2, keyValueHeads: 1, inner: 48, vocabulary: 17_500)

  @Test func tiledLogSumExpEqualsTheWholeRows() throws {
    let model = try LanguageModel(RandomWeights(Self.wide))
    let sequence = (0..<300).map { Int32($0 * 58 % 17_500) }
    let hidden = try model.hiddenStates(of: TokenBatch([sequence]))
    let targets = Array(sequence.dropFirst() + [-1])
    let scores = try model.scores(of: hidden, targets: targets)
    #expect(scores.last == .some(nil))
    var seen = 0
    try model.forEachLogits(of: hidden, rows: Array(0..<299), blockBytes: 1 << 20) { part, logits in
      for (row, place) in part.enumerated() {
        seen += 1
        let line = logits.values[logits.range(ofRow: row)].map(Double.init)
        let largest = line.max() ?? 0
        let normalizer = largest + log(line.reduce(0) { $0 + exp($1 - largest) })
        let score = try #require(scores[place])
        #expect(
          abs(score.negativeLogLikelihood - (normalizer - line[Int(targets[place])])) < 1e-5)
        // Blocks of other heights round otherwise, so that near ties may swap.
        #expect(line[Int(score.top)] > largest - 1e-5)
        #expect(abs(score.topLogProbability - (largest - normalizer)) < 1e-5)
      }
    }
    #expect(seen == 299)
  }

  @Test(arguments: [
    ScoringTests.wide,
    RandomWeights.llama(
      hidden: 64, layers: 2, heads: 4, keyValueHeads: 2, inner: 80, vocabulary: 300),
  ])
  func anyNumberOfWorkersGivesTheSameBits(_ configuration: String) throws {
    let weights = try RandomWeights(configuration)
    let vocabulary = weights.description.vocabularySize
    // Unequal lengths over several row tiles and query tiles, an empty one among them.
    let sequences = [700, 1, 0, 333, 130].map { length in
      (0..<length).map { Int32(($0 * 977 + length) % vocabulary) }
    }
    var results: [[[Double]]] = []
    for workers in [1, 2, 3] {
      let model = try LanguageModel(weights, pool: WorkerPool(workers: workers))
      results.append(try model.negativeLogLikelihoods(of: sequences))
    }
    #expect(results[0].map(\.count) == [699, 0, 0, 332, 129])
    #expect(results[0].joined().allSatisfy { $0.isFinite && $0 > 0 })
    #expect(results[1] == results[0])
    #expect(results[2] == results[0])
  }

  @Test func targetsOutOfRangeAndMissingHeadsAreRefused() throws {
    let model = try LanguageModel(Golden("llama").weights)
    let batch = TokenBatch([[3, 4], [5]])
    #expect(
      throws: ModelError.tokenOutOfRange(sequence: 1, position: 0, token: 90, vocabulary: 67)
    ) { try model.scores(of: batch, targets: [-1, -1, 90]) }
    let bare = try LanguageModel(Golden("bert_bare").weights)
    #expect(throws: ModelError.noHead(modelType: "bert")) {
      try bare.scores(of: batch, targets: [1, 1, 1])
    }
    #expect(throws: ModelError.tokenTypeOutOfRange(position: 1, type: 2, types: 2)) {
      try bare.hiddenStates(of: TokenBatch([[3, 4]], tokenTypes: [[0, 2]]))
    }
  }

  @Test func meanPoolingAveragesEverySequence() throws {
    let golden = try Golden("bert_bare")
    let model = try LanguageModel(golden.weights)
    let pooled = try model.meanPooled(TokenBatch(golden.sequences))
    let rows = golden.sequences[0].count..<golden.sequences[0].count + golden.sequences[1].count
    for column in 0..<golden.hidden.columns {
      let mean = rows.reduce(0) { $0 + Double(golden.hidden[$1, column]) } / Double(rows.count)
      #expect(abs(Double(pooled[1, column]) - mean) < 1e-5)
    }
    let unit = try model.meanPooled(TokenBatch(golden.sequences), normalized: true)
    #expect(abs(unit.values[unit.range(ofRow: 2)].reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
  }
}
