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

  /// Bits that the artefact takes for a group's pattern; nil where it stores a bitmap.
  public var numberBits: Int? { SparsePositions.numberBits(keep: keep, of: of) }
}

/// Pruning by magnitude: it acts on what the base holds now.
///
/// (1) The kept entries keep their bits, codes too: only a mask is added; (2) a mask that exists is
/// only ever tightened, its dropped entries count as pruned; (3) ties go to the lower index, which
/// is pruned first; (4) outlier columns, which are zero in the base, count like other entries.
public enum MagnitudePruning {
  /// Drops the smallest entries: exactly floor(count · fraction + ½) of the matrix or of each row,
  /// or all but the largest of each pattern's inputs.
  ///
  /// - Throws: `WeightsError.sparsityOutOfRange`, `.patternInvalid` when the pattern does not
  ///   divide the width, `.baseMissing`, `.notFinite`.
  public static func prune(
    _ weight: CompressedWeight, amount: PruneAmount
  ) throws(WeightsError) -> CompressedWeight {
    try amount.check(columns: weight.columns)
    let weight = weight.unpacked()
    guard let base = weight.base else { throw .baseMissing(operation: "prune") }
    if case .fraction(0, _) = amount { return weight }
    var values = base.decoded()
    try values.checkFinite()
    for index in values.values.indices { values.values[index] = values.values[index].magnitude }
    let dropped = MaskChoice.dropped(
      MaskChoice.keys(values, mask: weight.mask), rows: weight.rows, columns: weight.columns,
      amount: amount)
    return weight.dropping(dropped, amount: amount)
  }

  /// Drops a fraction of the matrix.
  ///
  /// - Throws: as `prune(_:amount:)`.
  public static func prune(
    _ weight: CompressedWeight, sparsity: Double
  ) throws(WeightsError) -> CompressedWeight {
    try prune(weight, amount: .fraction(sparsity, of: .matrix))
  }

  /// Keeps the `keep` largest of every `of` consecutive inputs.
  ///
  /// - Throws: as `prune(_:amount:)`.
  public static func prune(
    _ weight: CompressedWeight, pattern: KeepPattern
  ) throws(WeightsError) -> CompressedWeight {
    try prune(weight, amount: .pattern(pattern))
  }
}
