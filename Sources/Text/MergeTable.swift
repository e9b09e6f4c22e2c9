/// The merges of a byte-pair encoding: which two neighbours join, how early, and to what.
struct MergeTable: Sendable {
  /// No merge: later than every rank.
  static let none = UInt32.max

  private var keys: [UInt64]
  private var ranks: [UInt32]
  /// The token that the merge of each rank makes.
  private(set) var results: [Int32] = []

  /// The merges in order of rank; where a pair comes twice, the later rank stands.
  init(_ merges: [(left: Int32, right: Int32, result: Int32)]) {
    var size = 16
    while size < merges.count * 3 { size *= 2 }
    keys = Array(repeating: UInt64.max, count: size)
    ranks = Array(repeating: Self.none, count: size)
    results.reserveCapacity(merges.count)
    for merge in merges {
      let key = Self.key(merge.left, merge.right)
      var slot = Self.slot(key, size - 1)
      while keys[slot] != UInt64.max, keys[slot] != key { slot = (slot + 1) & (size - 1) }
      keys[slot] = key
      ranks[slot] = UInt32(results.count)
      results.append(merge.result)
    }
  }

  /// The rank at which a pair joins; `none` when it never does.
  @inline(__always)
  func rank(_ left: Int32, _ right: Int32) -> UInt32 {
    let key = Self.key(left, right)
    let mask = keys.count - 1
    var slot = Self.slot(key, mask)
    return keys.withUnsafeBufferPointer { keys in
      while true {
        let found = keys[slot]
        if found == key { return ranks[slot] }
        if found == UInt64.max { return Self.none }
        slot = (slot + 1) & mask
      }
    }
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private static func slot(_ key: UInt64, _ mask: Int) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 29) & mask
  }
}
