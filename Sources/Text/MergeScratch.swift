/// Working memory for merging one piece, kept between pieces so that none is allocated per word.
struct MergeScratch {
  /// The symbols of the piece; after merging, its tokens.
  var symbols: [Int32] = []
  private var ranks: [UInt32] = []
  private var next: [Int32] = []
  private var previous: [Int32] = []
  private var heap: [UInt64] = []

  /// Up to this many symbols, finding the least rank by looking at all is the quickest.
  private static let shortest = 24

  /// Joins neighbours, least rank first and leftmost among equals, until none joins.
  mutating func merge(_ table: MergeTable) {
    if symbols.count < 2 { return }
    if symbols.count <= Self.shortest { mergeShort(table) } else { mergeLong(table) }
  }

  /// The plain algorithm, quadratic in the number of symbols; the reference for `mergeLong`.
  mutating func mergeShort(_ table: MergeTable) {
    var count = symbols.count
    ranks.removeAll(keepingCapacity: true)
    for index in 0..<max(count - 1, 0) {
      ranks.append(table.rank(symbols[index], symbols[index + 1]))
    }
    while count > 1 {
      var best = 0
      var least = MergeTable.none
      for index in 0..<count - 1 where ranks[index] < least {
        least = ranks[index]
        best = index
      }
      if least == MergeTable.none { break }
      symbols[best] = table.results[Int(least)]
      symbols.remove(at: best + 1)
      ranks.remove(at: best)
      count -= 1
      if best > 0 { ranks[best - 1] = table.rank(symbols[best - 1], symbols[best]) }
      if best < count - 1 { ranks[best] = table.rank(symbols[best], symbols[best + 1]) }
    }
  }

  /// The same in O(n log n): a heap of (rank, position) over a linked list of symbols.
  ///
  /// An entry is stale when the pair at its position has another rank by now.
  mutating func mergeLong(_ table: MergeTable) {
    let count = symbols.count
    next = Array(1...Int32(count))
    previous = Array(-1..<Int32(count) - 1)
    ranks = Array(repeating: MergeTable.none, count: count)
    heap.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 { rate(index, index + 1, table) }
    while let entry = popLeast() {
      let position = Int(entry & 0xFFFF_FFFF)
      let rank = UInt32(entry >> 32)
      guard ranks[position] == rank else { continue }
      let right = Int(next[position])
      symbols[position] = table.results[Int(rank)]
      ranks[right] = MergeTable.none
      ranks[position] = MergeTable.none
      let after = Int(next[right])
      next[position] = Int32(after)
      if after < count {
        previous[after] = Int32(position)
        rate(position, after, table)
      }
      let before = Int(previous[position])
      if before >= 0 {
        ranks[before] = MergeTable.none
        rate(before, position, table)
      }
    }
    var kept = 0
    var position = 0
    while position < count {
      symbols[kept] = symbols[position]
      kept += 1
      position = Int(next[position])
    }
    symbols.removeLast(count - kept)
  }

  private mutating func rate(_ left: Int, _ right: Int, _ table: MergeTable) {
    let rank = table.rank(symbols[left], symbols[right])
    guard rank != MergeTable.none else { return }
    ranks[left] = rank
    push(UInt64(rank) << 32 | UInt64(left))
  }

  private mutating func push(_ entry: UInt64) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent] <= entry { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = entry
  }

  private mutating func popLeast() -> UInt64? {
    guard let least = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return least }
    var parent = 0
    while true {
      var child = parent * 2 + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if last <= heap[child] { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = last
    return least
  }
}
