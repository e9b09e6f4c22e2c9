import LinearAlgebra
import Tensors

/// L with L·Lᵀ = H, rows and columns in the reversed order of a sweep; zeros above the diagonal.
struct SweepFactor<S: SweepScalar>: Sendable {
  private let numbers: AlignedNumbers<S>
  let order: Int

  /// The numbers, row by row.
  var base: UnsafePointer<S> { UnsafePointer(numbers.base) }

  /// - Parameter fill: writes the numbers, row by row.
  init<Failure: Error>(
    order: Int, pages: PageCache,
    fill: (UnsafeMutablePointer<S>) throws(Failure) -> Void
  ) throws(Failure) {
    self.order = order
    numbers = AlignedNumbers(count: order * order, pages: pages, filling: .none)
    try fill(numbers.base)
  }

  subscript(row: Int, column: Int) -> S {
    precondition(row >= 0 && row < order && column >= 0 && column < order)
    return numbers.base[row * order + column]
  }
}
