import Weights

/// The order in which inputs are rounded.
struct SweepOrder: Sendable {
  /// The input at each position of the sweep.
  let columns: [Int]
  /// Whether grids are fitted before the sweep.
  let isStatic: Bool
  /// Inputs that share a scale; the width for scales per channel or tensor.
  let group: Int

  init(_ diagonal: [Double], scheme: IntegerScheme, order: GPTQOptions.Order) {
    let count = diagonal.count
    let group = scheme.grid.reach(columns: count)
    // Sorting is not promised to be stable: equal inputs go by their number.
    func louder(_ left: Int, _ right: Int) -> Bool {
      diagonal[left] == diagonal[right] ? left < right : diagonal[left] > diagonal[right]
    }
    self.group = group
    switch order {
    case .none:
      columns = Array(0..<count)
    case .activation:
      columns = (0..<count).sorted(by: louder)
    case .groups:
      let inside = stride(from: 0, to: count, by: group).map {
        Array($0..<min($0 + group, count)).sorted(by: louder)
      }
      columns = inside.sorted { louder($0[0], $1[0]) }.flatMap { $0 }
    }
    isStatic = order == .activation || scheme.granularity == .tensor
  }

  /// Ranges of positions that end where the block's length says, and before every grid that must
  /// be fitted on updated weights and would reach out of its range.
  func ranges(_ whole: Range<Int>, length: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start = whole.lowerBound
    while start < whole.upperBound {
      var end = min(start + length, whole.upperBound)
      if !isStatic {
        // The last group that begins in here and does not end in here begins the next range.
        let last = end / group * group
        if end % group != 0, last > start { end = last }
      }
      result.append(start..<end)
      start = end
    }
    return result
  }
}
