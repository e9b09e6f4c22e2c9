import Kernels
import Tensors

/// How the next token is chosen.
public struct Sampling: Sendable, Hashable {
  /// 0 is greedy: the most likely token, the smallest number among equals.
  public let temperature: Double
  /// Only the most likely tokens that together reach this probability are drawn from.
  public let topP: Double
  public let seed: UInt64

  /// - Throws: `ModelError.badSampling`.
  public init(
    temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0
  ) throws(ModelError) {
    guard temperature >= 0, temperature.isFinite else {
      throw .badSampling(
        parameter: "temperature", found: temperature, expected: "a number of at least 0")
    }
    guard topP > 0, topP <= 1 else {
      throw .badSampling(parameter: "top_p", found: topP, expected: "a number above 0, at most 1")
    }
    self.temperature = temperature
    self.topP = topP
    self.seed = seed
  }

  private init() {
    temperature = 0
    topP = 1
    seed = 0
  }

  /// The most likely token, always.
  public static let greedy = Sampling()

  /// Chooses a token by its logits.
  ///
  /// The number drawn depends on (seed, sequence, step) alone.
  func choose(_ logits: UnsafeBufferPointer<Float>, sequence: Int, step: Int) -> Int32 {
    guard let base = logits.baseAddress else { return 0 }
    var top = 0
    let largest = pith_largest(base, logits.count, &top)
    guard temperature > 0 else { return Int32(top) }
    let weights = logits.map { expDouble((Double($0) - Double(largest)) / temperature) }
    // Ties go to the smaller number, so that the order is one.
    let order = weights.indices.sorted {
      weights[$0] == weights[$1] ? $0 < $1 : weights[$0] > weights[$1]
    }
    let total = order.reduce(0.0) { $0 + weights[$1] }
    var kept = 0.0
    var count = 0
    while count < order.count, kept < topP * total || count == 0 {
      kept += weights[order[count]]
      count += 1
    }
    let word = Philox(seed: seed).block(
      elementBlock: 0, tensor: UInt32(sequence), step: UInt32(step), purpose: .sampling)[0]
    var rest = (Double(word) + 0.5) * 0x1p-32 * kept
    for index in order[..<count] {
      rest -= weights[index]
      if rest < 0 { return Int32(index) }
    }
    return Int32(order[count - 1])
  }
}
