import LinearAlgebra
import Tensors

/// Weights of some rows as lanes: their inputs in the factor's order, tile after tile.
///
/// Sendable because it is handed on between batches of rows, and never used by two at once.
final class SweepRows<S: SweepScalar>: @unchecked Sendable {
  /// Of every tile width × stride.
  let numbers: AlignedNumbers<S>
  let width: Int
  /// Rows of a tile, padded; a shorter last one lies in as many.
  let stride: Int
  /// What moving weights into their ranges works in.
  private(set) lazy var boundRoom = BoundRoom(
    rows: numbers.count / width, width: width, pages: pages)
  private let pages: PageCache

  /// Room for `rows` rows in tiles of `tile`.
  init(rows: Int, tile: Int, width: Int, pages: PageCache) {
    self.width = width
    self.pages = pages
    stride = ColumnRun<S>.stride(rows: min(tile, rows))
    numbers = AlignedNumbers(
      count: (rows + tile - 1) / tile * width * stride, pages: pages, filling: .none)
  }

  /// A tile's numbers.
  func tile(_ number: Int) -> UnsafeMutablePointer<S> { numbers.base + number * width * stride }

  /// Takes on some rows of a weight, as many as there is room for at most.
  func gather(_ weights: SweepTarget, rows: Range<Int>, order: [Int]) {
    _ = weights.withValues { source in
      for (number, first) in Swift.stride(
        from: rows.lowerBound, to: rows.upperBound, by: stride
      ).enumerated() {
        TileLayout.gathered(
          source, width: width, rows: first..<min(first + stride, rows.upperBound),
          stride: stride, order: order, into: tile(number))
      }
    }
  }

  /// One number.
  subscript(row: Int, position: Int) -> S {
    get { numbers.base[place(row, position)] }
    set { numbers.base[place(row, position)] = newValue }
  }

  private func place(_ row: Int, _ position: Int) -> Int {
    (row / stride * width + position) * stride + row % stride
  }
}
