import Kernels
import LinearAlgebra
import Tensors

/// What columns leave behind for other spans than their own, through 16-bit fixed point.
///
/// It only decides which code an entry is rounded to: an error of 1e-4 of it moves those few that lie
/// that close to the middle of two codes, which cost the same there. Twice the speed of f32 where the processor
/// has the products (PithFixed.h); the same bits with any number of workers.
struct FarFeedback: Sendable {
  /// Columns that are taken off what those before them have left, all at once: the rows of the factor
  /// that are theirs.
  private let ranges: [Range<Int>]
  /// Where each range's blocks begin among those of all; one more for the end.
  private let blocks: [Int]
  /// Of each range the columns of the factor, below the range's own rows, and their scales.
  private let places: [(pairs: Int, scales: Int)]
  private let pairs: AlignedNumbers<UInt32>
  private let scales: AlignedNumbers<Float>

  /// Columns of a span that such products suit.
  ///
  /// One block, so that a run reads nothing of its span but itself. Nil where groups would leave blocks half empty, or the processor lacks the products.
  static func span(_ order: SweepOrder) -> Int? {
    let block = Int(PITH_FIXED_BLOCK)
    guard FixedProducts.isAvailable else { return nil }
    if order.isStatic || block % order.group == 0 { return block }
    return order.group % block == 0 ? order.group : nil
  }

  /// Nil where the processor lacks the products, or where there is one range alone.
  ///
  /// - Parameters:
  ///   - ranges: in the sweep's order, each below those before it, all up to the width together.
  init?(
    _ factor: SweepFactor<Float>, ranges: [Range<Int>], pages: PageCache, pool: WorkerPool
  ) {
    guard FixedProducts.isAvailable, ranges.count > 1 else { return nil }
    let cell = Int(PITH_FIXED_BLOCK * PITH_FIXED_STRIP / 2)
    var blocks = [0]
    var places = [(pairs: 0, scales: 0)]
    for range in ranges {
      let lanes = pith_fixed_strips(range.count) * Int(PITH_FIXED_STRIP)
      let depth = blocks[blocks.count - 1]
      let last = places[places.count - 1]
      places.append(
        (last.pairs + depth * lanes / Int(PITH_FIXED_STRIP) * cell, last.scales + depth * lanes))
      blocks.append(depth + pith_fixed_blocks(range.count))
    }
    self.ranges = ranges
    self.blocks = blocks
    self.places = places
    let total = places[ranges.count]
    let parts = ranges.indices.flatMap { target in (0..<target).map { (target, $0) } }
    let (pairs, scales) = (
      AlignedNumbers<UInt32>(count: total.pairs, pages: pages, filling: .none),
      AlignedNumbers<Float>(count: total.scales, pages: pages, filling: .none)
    )
    (self.pairs, self.scales) = (pairs, scales)
    let (starts, depths) = (places, blocks)
    // Parts have places of their own.
    pool.forEach(parts.count) { (index: Int) -> Void in
      let (target, source) = parts[index]
      let (own, from) = (ranges[target], ranges[source])
      let strips = pith_fixed_strips(own.count)
      pith_fixed_pack(
        factor.base + from.lowerBound * factor.order + own.lowerBound, factor.order, from.count,
        own.count, Int(PITH_FIXED_PANEL),
        pairs.base + starts[target].pairs + depths[source] * strips * cell,
        scales.base + starts[target].scales + depths[source] * strips * Int(PITH_FIXED_STRIP))
    }
  }

  /// The differences of a tile's columns, range after range, as they are done.
  struct Differences {
    fileprivate let pairs: AlignedNumbers<UInt32>
    fileprivate let scales: AlignedNumbers<Float>
    fileprivate let stride: Int

    /// - Parameter stride: rows of the tile, a multiple of a sweep's lanes.
    init(_ feedback: FarFeedback, stride: Int, pages: PageCache) {
      self.stride = stride
      // Nothing reads the last range's.
      let lines = feedback.blocks[feedback.ranges.count - 1] * stride
      pairs = AlignedNumbers(
        count: lines * Int(PITH_FIXED_BLOCK) / 2, pages: pages, filling: .none)
      scales = AlignedNumbers(count: lines, pages: pages, filling: .none)
    }

    /// Takes down what the columns of a range, all done, leave behind: their rows of `values`.
    func note(_ number: Int, _ values: UnsafePointer<Float>, of feedback: FarFeedback) {
      guard number + 1 < feedback.ranges.count else { return }
      let (first, range) = (feedback.blocks[number], feedback.ranges[number])
      pith_fixed_pack(
        values + range.lowerBound * stride, stride, range.count, stride,
        Int(PITH_FIXED_STRIP), pairs.base + first * stride * Int(PITH_FIXED_BLOCK) / 2,
        scales.base + first * stride)
    }
  }

  /// sums (the range's columns × stride) ← L[done, range]ᵀ · differences[done], done being all ranges
  /// before it; there is one at least.
  func collect(_ number: Int, _ differences: Differences, into sums: UnsafeMutablePointer<Float>) {
    let place = places[number]
    pith_fixed_multiply(
      PithFixed(
        pairs: pairs.base + place.pairs, scales: scales.base + place.scales,
        lanes: ranges[number].count),
      PithFixed(
        pairs: differences.pairs.base, scales: differences.scales.base, lanes: differences.stride),
      blocks[number], sums, differences.stride)
  }
}
