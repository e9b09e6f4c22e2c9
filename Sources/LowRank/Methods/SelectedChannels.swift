import LinearAlgebra
import Tensors

/// S²FT's reordering of channels and heads (low-rank.md §13).
///
/// The channels to be tuned stand first, so that they are one dense slice, and the model says what it
/// said. Tuning the slice is another program's work.
public enum SelectedChannels {
  /// Chosen channels first, the others behind them in their order.
  ///
  /// - Throws: `LowRankError.optionOutOfRange` for a channel that is not there, or named twice.
  public static func order(chosen: [Int], of count: Int) throws(LowRankError) -> [Int] {
    let set = Set(chosen)
    guard set.count == chosen.count, chosen.allSatisfy((0..<count).contains) else {
      throw .optionOutOfRange(
        name: "the chosen channels", value: "\(chosen)", allowed: "each once, below \(count)")
    }
    return chosen + (0..<count).filter { !set.contains($0) }
  }

  /// A feed-forward block's weights with its inner channels in another order: rows of `up` and
  /// `gate`, columns of `down`.
  public static func feedForward(
    up: Matrix<Float>, gate: Matrix<Float>?, down: Matrix<Float>, order: [Int]
  ) -> (up: Matrix<Float>, gate: Matrix<Float>?, down: Matrix<Float>) {
    (rows(of: up, order), gate.map { rows(of: $0, order) }, columns(of: down, order))
  }

  /// An attention block's weights with its key-value heads in another order, the query heads that
  /// read each moving along: rows of q, k and v, columns of o.
  ///
  /// - Parameters:
  ///   - order: of the key-value heads; each of them serves as many query heads.
  ///   - width: channels of a head.
  public static func attention(
    q: Matrix<Float>, k: Matrix<Float>, v: Matrix<Float>, o: Matrix<Float>, order: [Int], width: Int
  ) -> (q: Matrix<Float>, k: Matrix<Float>, v: Matrix<Float>, o: Matrix<Float>) {
    precondition(k.rows == order.count * width && q.rows % k.rows == 0, "whole heads")
    func channels(_ width: Int) -> [Int] { order.flatMap { $0 * width..<($0 + 1) * width } }
    let (queries, keys) = (channels(q.rows / order.count), channels(width))
    return (rows(of: q, queries), rows(of: k, keys), rows(of: v, keys), columns(of: o, queries))
  }

  private static func rows(of matrix: Matrix<Float>, _ order: [Int]) -> Matrix<Float> {
    Matrix(
      rows: order.count, columns: matrix.columns,
      values: order.flatMap { matrix.values[matrix.range(ofRow: $0)] })
  }

  private static func columns(of matrix: Matrix<Float>, _ order: [Int]) -> Matrix<Float> {
    rows(of: matrix.transposed, order).transposed
  }
}
