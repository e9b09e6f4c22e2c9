/// The k-th smallest of many integers, in three passes over them.
enum RadixSelect {
  private static let bits: UInt32 = 11

  /// The element that would stand at `rank` (from 0) if the keys were sorted.
  static func value(rank: Int, of keys: UnsafeBufferPointer<UInt32>) -> UInt32 {
    precondition(rank >= 0 && rank < keys.count, "rank \(rank) of \(keys.count)")
    var found: UInt32 = 0
    var rank = rank
    for shift: UInt32 in [22, 11, 0] {
      let above = shift + bits
      var histogram = [Int](repeating: 0, count: 1 << bits)
      for key in keys where above >= 32 || key >> above == found >> above {
        histogram[Int(key >> shift & (1 << bits - 1))] += 1
      }
      for (digit, count) in histogram.enumerated() {
        if rank < count {
          found |= UInt32(digit) << shift
          break
        }
        rank -= count
      }
    }
    return found
  }
}
