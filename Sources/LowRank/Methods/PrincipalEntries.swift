import LinearAlgebra
import Tensors

/// The entries that a weight's leading part is made of (low-rank.md §13).
///
/// LIFT trains them and leaves the rest; training them is another program's work.
public enum PrincipalEntries {
  /// LIFT's budget: as many entries as the factors of a LoRA of this rank hold.
  public static func count(rows: Int, columns: Int, rank: Int) -> Int {
    min((rows + columns) * rank, rows * columns)
  }

  /// The places of the `count` largest entries of the weight cut to a rank, ascending.
  ///
  /// Exactly so many: of equal entries the first ones.
  ///
  /// - Throws: as `PrincipalComponents.exact`, and `LowRankError.optionOutOfRange` for a count that
  ///   the weight does not have.
  public static func places(
    of matrix: Matrix<Float>, filterRank: Int, count: Int, pool: WorkerPool = .serial
  ) throws -> [Int] {
    guard (0...matrix.values.count).contains(count) else {
      throw LowRankError.optionOutOfRange(
        name: "the count of entries", value: "\(count)", allowed: "0 to \(matrix.values.count)")
    }
    let reduced = try PrincipalComponents.exact(matrix, rank: filterRank, pool: pool)
      .product(pool: pool).values
    let order = reduced.indices.sorted {
      let (left, right) = (abs(reduced[$0]), abs(reduced[$1]))
      return left == right ? $0 < $1 : left > right
    }
    return order.prefix(count).sorted()
  }
}
