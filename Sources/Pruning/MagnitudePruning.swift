import Tensors
import Weights

/// N:M sparsity: of every `of` consecutive inputs at most `keep` are kept.
///
/// Other tools count the zeroed ones; 2:4 is the same either way, 1:4 is not.
public struct KeepPattern: Sendable, Hashable {
  public let keep: Int
  public let of: Int

  /// - Throws: `WeightsError.patternInvalid` unless 0 < keep < of.
  public init(keep: Int, of: Int) throws(WeightsError) {
    guard keep > 0, keep < of else { throw .patternInvalid(keep: keep, of: of, columns: 0) }
    self.keep = keep
    self.of = of
  }
}

/// Pruning by magnitude: it acts on what the base holds now.
///
/// (1) The kept entries keep their bits, codes too: only a mask is added; (2) a mask that exists is
/// only ever tightened, its dropped entries count as pruned; (3) ties go to the lower index, which
/// is pruned first; (4) outlier columns, which are zero in the base, count like other entries.
public enum MagnitudePruning {
  /// Drops exactly floor(rows · columns · sparsity + ½) entries of the matrix, the smallest.
  ///
  /// - Throws: `WeightsError.sparsityOutOfRange`, `.baseMissing`, `.notFinite`.
  public static func prune(
    _ weight: CompressedWeight, sparsity: Double
  ) throws(WeightsError) -> CompressedWeight {
    guard sparsity >= 0, sparsity <= 1 else { throw .sparsityOutOfRange(sparsity) }
    let keys = try self.keys(of: weight)
    let count = Int((Double(keys.count) * sparsity + 0.5).rounded(.down))
    guard count > 0 else { return weight }
    let threshold = RadixSelect.value(rank: count - 1, of: keys)
    // Everything below the threshold goes, and of its equals the first few.
    var equals = count - keys.reduce(0) { $0 + ($1 < threshold ? 1 : 0) }
    var dropped = [Bool](repeating: false, count: keys.count)
    for (index, key) in keys.enumerated() {
      if key < threshold || key == 0 {
        dropped[index] = true
      }
      if key == threshold, equals > 0 {
        dropped[index] = true
        equals -= 1
      }
    }
    return masking(weight, dropped: dropped)
  }

  /// Keeps the `keep` largest of every `of` consecutive inputs.
  ///
  /// - Throws: `WeightsError.patternInvalid` when `of` does not divide the width, `.baseMissing`,
  ///   `.notFinite`.
  public static func prune(
    _ weight: CompressedWeight, pattern: KeepPattern
  ) throws(WeightsError) -> CompressedWeight {
    guard weight.columns % pattern.of == 0 else {
      throw .patternInvalid(keep: pattern.keep, of: pattern.of, columns: weight.columns)
    }
    let keys = try self.keys(of: weight)
    var dropped = [Bool](repeating: false, count: keys.count)
    for start in stride(from: 0, to: keys.count, by: pattern.of) {
      let order = (start..<start + pattern.of).sorted { (keys[$0], $0) < (keys[$1], $1) }
      for index in order.prefix(pattern.of - pattern.keep) { dropped[index] = true }
      for index in order where keys[index] == 0 { dropped[index] = true }
    }
    return masking(weight, dropped: dropped)
  }

  /// An integer per entry that orders by magnitude: 0 for entries that are masked already, else
  /// one more than the pattern of |w|, which grows with |w|.
  private static func keys(of weight: CompressedWeight) throws(WeightsError) -> [UInt32] {
    guard let base = weight.base else { throw .baseMissing(operation: "prune") }
    let values = base.decoded()
    try values.checkFinite()
    var keys = values.values.map { $0.magnitude.bitPattern + 1 }
    if let mask = weight.mask {
      for row in 0..<weight.rows {
        for column in 0..<weight.columns where !mask.isKept(row, column) {
          keys[row * weight.columns + column] = 0
        }
      }
    }
    return keys
  }

  private static func masking(_ weight: CompressedWeight, dropped: [Bool]) -> CompressedWeight {
    let columns = weight.columns
    let mask = Mask(rows: weight.rows, columns: columns) { !dropped[$0 * columns + $1] }
    var result = weight
    result.mask = weight.mask.map { $0.intersecting(mask) } ?? mask
    return result
  }
}
