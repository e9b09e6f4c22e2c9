import Architectures
import Models
import Tensors
import Testing

@Suite struct GenerationTests {
  @Test(arguments: Golden.causal)
  func greedyEqualsTransformersAndStopsWhereTheCacheEnds(_ name: String) throws {
    let golden = try Golden(name)
    let model = try LanguageModel(golden.weights)
    let expected = try #require(golden.greedy)
    let prompt = golden.sequences[1]
    #expect(try model.generate([prompt], maximumTokens: expected.count) == [expected])
    // Beside others of unequal length, each prompt is continued as it is alone.
    let together = try model.generate(
      [golden.sequences[2], prompt, golden.sequences[0]], maximumTokens: expected.count)
    #expect(together[1] == expected)
    let endless = try model.generate([prompt], maximumTokens: 500)
    #expect(endless[0].count == model.description.maximumPositions - prompt.count + 1)
  }

  @Test(arguments: Golden.causal)
  func stepsThroughTheCacheGiveTheStatesOfOnePass(_ name: String) throws {
    let golden = try Golden(name)
    let model = try LanguageModel(golden.weights)
    let sequence = golden.sequences[2]
    let whole = try model.hiddenStates(of: TokenBatch([sequence]))
    let cache = KeyValueCache(for: model.description, sequences: 1, capacity: sequence.count)
    var rows: [Float] = []
    for part in [sequence[..<5], sequence[5..<6], sequence[6...]] {
      rows += try model.hiddenStates(of: TokenBatch([Array(part)]), cache: cache).values
    }
    #expect(cache.lengths == [sequence.count])
    #expect(
      relativeError(Matrix(rows: whole.rows, columns: whole.columns, values: rows), whole) < 1e-5)
    #expect(throws: ModelError.cacheFull(capacity: sequence.count)) {
      try model.hiddenStates(of: TokenBatch([[3]]), cache: cache)
    }
  }

  @Test func samplingDependsOnTheSeedAndFollowsTheProbabilities() throws {
    let golden = try Golden("llama")
    let model = try LanguageModel(golden.weights)
    let prompt = golden.sequences[1]
    func sample(_ sampling: Sampling) throws -> [Int32] {
      try model.generate([prompt], maximumTokens: 12, sampling: sampling)[0]
    }
    let first = try sample(Sampling(temperature: 1, seed: 1))
    #expect(try sample(Sampling(temperature: 1, seed: 1)) == first)
    #expect(try sample(Sampling(temperature: 1, seed: 2)) != first)
    let greedy = try #require(golden.greedy)
    #expect(try sample(Sampling(temperature: 1e-4, seed: 1)) == greedy)
    #expect(try sample(Sampling(temperature: 1, topP: 1e-9, seed: 1)) == greedy)
    #expect(first != greedy)

    // Frequencies of the first token over many prompts in one batch, against the probabilities.
    let count = 2000
    let drawn = try model.generate(
      Array(repeating: prompt, count: count), maximumTokens: 1,
      sampling: Sampling(temperature: 1, seed: 9))
    let hidden = try model.hiddenStates(of: TokenBatch([prompt]))
    let targets = Array(repeating: Int32(-1), count: prompt.count - 1) + [greedy[0]]
    let top = try #require(try model.scores(of: hidden, targets: targets).last ?? nil)
    let expected = expProbability(top.negativeLogLikelihood)
    let found = Double(drawn.filter { $0[0] == greedy[0] }.count) / Double(count)
    // Five standard deviations of a frequency.
    #expect(abs(found - expected) < 5 * (expected * (1 - expected) / Double(count)).squareRoot())
  }

  @Test func whatCannotBeGeneratedIsRefused() throws {
    let model = try LanguageModel(Golden("llama").weights)
    #expect(throws: ModelError.emptyPrompt(sequence: 1)) {
      try model.generate([[3], []], maximumTokens: 2)
    }
    #expect(
      throws: ModelError.tokenOutOfRange(sequence: 0, position: 1, token: 67, vocabulary: 67)
    ) { try model.generate([[3, 67]], maximumTokens: 2) }
    #expect(throws: ModelError.sequenceTooLong(sequence: 0, length: 33, limit: 32)) {
      try model.generate([Array(repeating: 3, count: 33)], maximumTokens: 1)
    }
    let encoder = try LanguageModel(Golden("bert").weights)
    #expect(throws: ModelError.notCausal(modelType: "bert")) {
      try encoder.generate([[3]], maximumTokens: 1)
    }
    #expect(throws: ModelError.self) { try Sampling(temperature: -1) }
    #expect(throws: ModelError.self) { try Sampling(topP: 0) }
  }
}
