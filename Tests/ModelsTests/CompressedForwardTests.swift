import Architectures
import Models
import Tensors
import Testing
import Weights

@Suite struct CompressedForwardTests {
  /// (1) Codes multiply as their decoded values do; (2) the grid was coarse enough to be seen.
  @Test func codesRunAsTheirDecodedValuesDo() throws {
    let golden = try Golden("nanollama")
    let scheme = try IntegerScheme(bits: 4, granularity: .group(32))
    let batch = TokenBatch(golden.sequences)
    func hidden(decoded: Bool) throws -> Matrix<Float> {
      let weights = QuantizedWeights(base: golden.weights, scheme: scheme, decoded: decoded)
      return try LanguageModel(weights, pool: WorkerPool(workers: 2)).hiddenStates(of: batch)
    }
    let codes = try hidden(decoded: false)
    #expect(relativeError(codes, try hidden(decoded: true)) < 1e-5)
    #expect(relativeError(codes, golden.hidden) > 1e-2)
  }

  @Test func greedyTokensOfCodesAreThoseOfTheirDecodedValues() throws {
    let golden = try Golden("nanollama")
    let scheme = try IntegerScheme(bits: 4, granularity: .group(32))
    let tokens = try [false, true].map { decoded in
      try LanguageModel(QuantizedWeights(base: golden.weights, scheme: scheme, decoded: decoded))
        .generate([golden.sequences[1]], maximumTokens: 12)
    }
    #expect(tokens[0] == tokens[1])
  }
}
