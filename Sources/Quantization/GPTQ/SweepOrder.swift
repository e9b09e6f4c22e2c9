import Weights

/// The order in which inputs are rounded.
struct SweepOrder: Sendable {
  /// The input at each position of the sweep.
  let columns: [Int]
  /// Whether grids are fitted before the sweep.
  let isStatic: Bool
  /// Inputs that share a scale; the width for scales per channel or tensor.
  let group: Int
  /// How many of the last positions are not rounded.
  let free: Int

  init(_ diagonal: [Double], scheme: IntegerScheme, order: GPTQOptions.Order, free: [Int] = []) {
    let count = diagonal.count
    let group = scheme.grid.reach(columns: count)
    // Sorting is not promised to be stable: equal inputs go by their number.
    func louder(_ left: Int, _ right: Int) -> Bool {
      diagonal[left] == diagonal[right] ? left < right : diagonal[left] > diagonal[right]
    }
    self.group = group
    self.free = free.count
    switch order {
    case .none:
      columns = Array(0..<count)
    case .activation:
      let isFree = Set(free)
      columns = (0..<count).filter { !isFree.contains($0) }.sorted(by: louder) + free
    case .groups:
      let inside = stride(from: 0, to: count, by: group).map {
        Array($0..<min($0 + group, count)).sorted(by: louder)
      }
      columns = inside.sorted { louder($0[0], $1[0]) }.flatMap { $0 }
    }
    isStatic = order == .activation || scheme.granularity == .tensor
  }

  /// How the positions are cut: spans get what all columns before them have left behind in one
  /// long product; panels begin wherever a grid must be fitted on updated weights; runs are rounded
  /// by one call and none is longer than `length`.
  ///
  /// - Parameter span: a span's columns, a multiple of the groups; nil for what suits products in f32.
  func spans(width: Int, length: Int, span: Int? = nil) -> [Span] {
    let panel = isStatic ? width : group
    let span =
      span
      ?? (isStatic || group > Self.spanLength ? Self.spanLength : Self.spanLength / group * group)
    return cut(0..<width, max(span, isStatic ? 1 : group)).map { whole in
      Span(
        range: whole,
        panels: cut(whole, panel).map { Panel(range: $0, runs: cut($0, length)) })
    }
  }

  /// Columns of a span: enough for a product's kernels.
  private static let spanLength = 512

  struct Span: Sendable {
    var range: Range<Int>
    var panels: [Panel]
  }
  struct Panel: Sendable {
    var range: Range<Int>
    var runs: [Range<Int>]
  }

  private func cut(_ whole: Range<Int>, _ length: Int) -> [Range<Int>] {
    stride(from: whole.lowerBound, to: whole.upperBound, by: max(length, 1)).map {
      $0..<min($0 + length, whole.upperBound)
    }
  }
}
