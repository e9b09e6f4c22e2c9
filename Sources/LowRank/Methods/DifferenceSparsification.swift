import LinearAlgebra
import Tensors

/// DARE: most entries of a fine-tuned model's difference dropped, the rest scaled up (Yu and
/// others, 2023).
public enum DifferenceSparsification {
  public enum Strategy: String, Sendable, Hashable, CaseIterable {
    /// Each entry with the same probability; the mean over draws is the difference itself.
    case random
    /// The smallest first; not unbiased, and therefore not scaled.
    case magnitude
  }

  /// δ = tuned − base with a share of its entries dropped.
  ///
  /// - Parameters:
  ///   - share: p in 0..<1; with `.random` what is left is divided by 1 − p.
  ///   - stream: tells tensors of one seed apart.
  /// - Throws: `LowRankError.optionOutOfRange`.
  public static func sparsified(
    _ difference: Matrix<Float>, dropping share: Double, strategy: Strategy = .random,
    seed: UInt64, stream: UInt32 = 0
  ) throws(LowRankError) -> Matrix<Float> {
    guard share >= 0, share < 1 else {
      throw .optionOutOfRange(
        name: "the share to drop", value: "\(share)", allowed: "at least 0 and below 1")
    }
    var result = difference
    switch strategy {
    case .random:
      // A word below p·2³² drops its entry; element i is word i % 4 of block i / 4.
      let threshold = UInt64((share * 0x1p32).rounded())
      let factor = Float(1 / (1 - share))
      let generator = Philox(seed: seed)
      result.values.withUnsafeMutableBufferPointer { values in
        for block in stride(from: 0, to: values.count, by: 4) {
          let words = generator.block(
            elementBlock: UInt32(truncatingIfNeeded: block / 4), tensor: stream,
            purpose: .dataSampling)
          for place in 0..<min(4, values.count - block) {
            values[block + place] =
              UInt64(words[place]) < threshold ? 0 : values[block + place] * factor
          }
        }
      }
    case .magnitude:
      let count = Int(Double(difference.values.count) * share)
      guard count > 0 else { return difference }
      // Exactly `count`, the first of equals first.
      let order = difference.values.indices.sorted {
        let (left, right) = (abs(difference.values[$0]), abs(difference.values[$1]))
        return left == right ? $0 < $1 : left < right
      }
      for index in order.prefix(count) { result.values[index] = 0 }
    }
    return result
  }
}
