/// The tokens of words met before: language repeats itself.
///
/// Bounded; when full it is emptied, which costs little and keeps what the text at hand needs.
struct WordCache {
  /// Longer pieces are merged anew each time: they seldom come again.
  static let longestWord = 48
  private static let slotCount = 1 << 16
  private static let mostWords = slotCount / 2

  private struct Entry {
    var hash: UInt64
    var bytes: Int32
    var byteCount: Int32
    var ids: Int32
    var idCount: Int32
  }

  private var slots: [Int32] = []
  private var entries: [Entry] = []
  private var bytes: [UInt8] = []
  private var ids: [Int32] = []

  /// Appends the tokens of a word; false when the word is unknown.
  @inline(__always)
  func append(_ word: TextBytes, hash: UInt64, to output: inout [Int32]) -> Bool {
    guard !slots.isEmpty else { return false }
    var slot = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
    while true {
      let index = slots[slot]
      if index < 0 { return false }
      let entry = entries[Int(index)]
      if entry.hash == hash, Int(entry.byteCount) == word.count, isSame(entry, word) {
        for position in Int(entry.ids)..<Int(entry.ids + entry.idCount) {
          output.append(ids[position])
        }
        return true
      }
      slot = (slot + 1) & (Self.slotCount - 1)
    }
  }

  @inline(__always)
  private func isSame(_ entry: Entry, _ word: TextBytes) -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
      for position in 0..<word.count where bytes[Int(entry.bytes) + position] != word[position] {
        return false
      }
      return true
    }
  }

  /// Remembers a word's tokens.
  mutating func insert(_ word: TextBytes, hash: UInt64, _ tokens: some Sequence<Int32>) {
    if slots.isEmpty || entries.count >= Self.mostWords {
      slots = Array(repeating: -1, count: Self.slotCount)
      entries.removeAll(keepingCapacity: true)
      bytes.removeAll(keepingCapacity: true)
      ids.removeAll(keepingCapacity: true)
    }
    var slot = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
    while slots[slot] >= 0 { slot = (slot + 1) & (Self.slotCount - 1) }
    slots[slot] = Int32(entries.count)
    let firstID = ids.count
    ids += tokens
    entries.append(
      Entry(
        hash: hash, bytes: Int32(bytes.count), byteCount: Int32(word.count), ids: Int32(firstID),
        idCount: Int32(ids.count - firstID)))
    bytes += word
  }
}
