/// The k-th smallest of many integers, in two passes over them.
enum RadixSelect {
  /// The element that would stand at `rank` (from 0) if the keys were sorted.
  static func value(rank: Int, of keys: [UInt32]) -> UInt32 {
    precondition(rank >= 0 && rank < keys.count, "rank \(rank) of \(keys.count)")
    var histogram = [Int](repeating: 0, count: 1 << 16)
    for key in keys { histogram[Int(key >> 16)] += 1 }
    let (high, before) = bucket(histogram, rank: rank)
    histogram = [Int](repeating: 0, count: 1 << 16)
    for key in keys where Int(key >> 16) == high { histogram[Int(key & 0xFFFF)] += 1 }
    let (low, _) = bucket(histogram, rank: rank - before)
    return UInt32(high) << 16 | UInt32(low)
  }

  /// The bucket that holds a rank, and how many elements lie in the buckets before it.
  private static func bucket(_ histogram: [Int], rank: Int) -> (index: Int, before: Int) {
    var before = 0
    for (index, count) in histogram.enumerated() {
      if rank < before + count { return (index, before) }
      before += count
    }
    preconditionFailure("rank \(rank) beyond the histogram")
  }
}
