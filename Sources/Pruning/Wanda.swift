import Tensors
import Weights

/// Pruning by weights and activations: score |W_ij| · ‖x_j‖, compared within each output.
///
/// Sun and others 2023, arXiv 2306.11695. (1) Kept entries keep their bits, only a mask is added;
/// (2) of every row exactly floor(columns · fraction + ½) entries go, or all but `keep` of every
/// `of` inputs; (3) equal loudness everywhere gives the choice by magnitude; (4) an input that was
/// never active goes first; (5) a mask that exists is only tightened.
public enum Wanda {
  /// - Parameter squares: Σ x² of each input.
  /// - Throws: `PruningError`.
  public static func prune(
    _ weight: CompressedWeight, squares: [Double], amount: PruneAmount
  ) throws(PruningError) -> CompressedWeight {
    guard squares.count == weight.columns else {
      throw .statisticsMismatch(
        rows: weight.rows, columns: weight.columns, found: [squares.count])
    }
    if let index = squares.firstIndex(where: { !$0.isFinite }) {
      throw .statisticsNotFinite(index: index)
    }
    if let index = squares.firstIndex(where: { $0 < 0 }) {
      throw .statisticsNegative(index: index, value: squares[index])
    }
    do throws(WeightsError) {
      try amount.check(columns: weight.columns)
      let weight = weight.unpacked()
      guard let base = weight.base else { throw WeightsError.baseMissing(operation: "prune") }
      if case .fraction(0, _) = amount { return weight }
      var scores = base.decoded()
      try scores.checkFinite()
      // Relative to the loudest input, so that no score leaves f32's range.
      let loudest = squares.max() ?? 0
      let norms = squares.map { loudest > 0 ? Float(($0 / loudest).squareRoot()) : 1 }
      for row in 0..<scores.rows {
        for column in 0..<scores.columns {
          let index = row * scores.columns + column
          scores.values[index] = scores.values[index].magnitude * norms[column]
        }
      }
      let dropped = MaskChoice.dropped(
        MaskChoice.keys(scores, mask: weight.mask), rows: weight.rows, columns: weight.columns,
        amount: amount)
      return weight.dropping(dropped, amount: amount)
    } catch { throw .weights(error) }
  }
}
