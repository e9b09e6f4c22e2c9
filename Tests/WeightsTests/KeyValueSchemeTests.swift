import Tensors
import Testing

@testable import Weights

@Suite struct KeyValueSchemeTests {
  @Test func onlyWholeGroupsBehindTheResidualAreRounded() {
    let scheme = KeyValueScheme(keyBits: 4, group: 8, residual: 4)
    #expect([0, 4, 11, 12, 19, 20, 100].map { scheme.rounded(of: $0) } == [0, 0, 0, 8, 8, 16, 96])
    #expect(scheme.run(headDimension: 16) == 8)
    #expect(KeyValueScheme(keyBits: 4, group: 32).run(headDimension: 48) == 48)
  }

  /// Keys with a few loud channels: a scale per channel keeps the others, one per token does not.
  @Test func keysPerChannelKeepQuietChannelsBesideLoudOnes() {
    let (tokens, width) = (64, 32)
    var keys = Philox(seed: 8).normals(count: tokens * width, tensor: 0, purpose: .perturbation)
    for token in 0..<tokens { keys[token * width + 3] = 40 + keys[token * width + 3] }
    func error(_ granularity: KeyValueScheme.KeyGranularity) -> Float {
      var rounded = keys
      rounded.withUnsafeMutableBufferPointer {
        guard let base = $0.baseAddress else { return }
        KeyValueScheme(keyBits: 2, keys: granularity).roundKeys(
          base, tokens: tokens, width: width, headDimension: width)
      }
      return zip(keys, rounded).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        / Float(tokens * width)
    }
    #expect(error(.channel) < 0.25)
    #expect(error(.token) > 3 * error(.channel))
  }

  @Test func textsAndRanges() throws {
    #expect(
      try KeyValueScheme(named: "int2/v4/g64/r128/token")
        == KeyValueScheme(keyBits: 2, valueBits: 4, keys: .token, group: 64, residual: 128))
    for text in ["4", "int9", "int4/x3", "int4/g", "int4/r0", ""] {
      #expect(throws: WeightsError.self, "\(text)") { try KeyValueScheme(named: text) }
    }
    // 4 bits and 32 of scale and minimum for 32 numbers, keys and values alike.
    #expect(KeyValueScheme(keyBits: 4).bitsPerNumber(headDimension: 64) == 5)
  }

  @Test func bytesOfACacheAreOlderCodesAndNewerExactNumbers() {
    let scheme = KeyValueScheme(keyBits: 4, group: 32, residual: 32)
    // 96 of 128 tokens are rounded, each of 128 numbers of 5 bits; the others are f16.
    #expect(
      scheme.storedBytes(tokens: 128, numbers: 128, headDimension: 64)
        == 96 * 128 * 5 / 8 + 32 * 128 * 2)
    // Nothing is rounded before there is a group behind the residual.
    #expect(scheme.storedBytes(tokens: 63, numbers: 128, headDimension: 64) == 63 * 128 * 2)
    // Values share a scale over the 16 channels of a head, keys over the 32 tokens of a group.
    #expect(
      scheme.storedBytes(tokens: 64, numbers: 8, headDimension: 16)
        == 32 * (4 * 5 + 4 * 6) / 8 + 32 * 8 * 2)
    #expect(
      KeyValueScales.Format.int8.storedBytes(tokens: 10, numbers: 12, layers: 3) == 120 + 24)
  }
}
