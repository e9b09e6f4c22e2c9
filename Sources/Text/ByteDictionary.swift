/// A map from byte strings to ids, by open addressing over one arena.
///
/// `String` keys would compare by canonical equivalence, and make a key of every looked-up slice.
struct ByteDictionary: Sendable {
  private var arena: [UInt8] = []
  private var entries: [Entry] = []
  private var slots: [Int32]

  private struct Entry {
    var hash: UInt64
    var offset: Int
    var count: Int
    var value: Int32
  }

  init(minimumCapacity: Int = 8) {
    var size = 16
    while size < minimumCapacity * 2 { size *= 2 }
    slots = Array(repeating: -1, count: size)
  }

  /// The bytes of the longest key.
  private(set) var longestKey = 0

  /// The number of keys.
  var count: Int { entries.count }

  /// Sets a key's value; true when the key is new.
  @discardableResult
  mutating func insert(_ key: [UInt8], _ value: Int32) -> Bool {
    let hash = key.withUnsafeBufferPointer(Self.hash)
    let (slot, found) = key.withUnsafeBufferPointer { place($0, hash) }
    if let found {
      entries[found].value = value
      return false
    }
    slots[slot] = Int32(entries.count)
    entries.append(Entry(hash: hash, offset: arena.count, count: key.count, value: value))
    arena += key
    longestKey = max(longestKey, key.count)
    if entries.count * 2 > slots.count { grow() }
    return true
  }

  /// The value of a key.
  func value(_ key: TextBytes) -> Int32? {
    place(key, Self.hash(key)).entry.map { entries[$0].value }
  }

  /// The value of a key.
  func value(_ key: [UInt8]) -> Int32? { key.withUnsafeBufferPointer { value($0) } }

  /// A 64-bit hash of bytes: eight at a time, multiplied and folded.
  @inline(__always)
  static func hash(_ key: TextBytes) -> UInt64 {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: key.count)
    func mix(_ word: UInt64) {
      let product = (state ^ word).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
      state = product.high ^ product.low
    }
    guard let base = key.baseAddress else { return state }
    let raw = UnsafeRawPointer(base)
    var position = 0
    while position + 8 <= key.count {
      mix(raw.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      position += 8
    }
    var tail: UInt64 = 0
    while position < key.count {
      tail = tail << 8 | UInt64(key[position])
      position += 1
    }
    mix(tail)
    return state ^ state >> 29
  }

  private func place(_ key: TextBytes, _ hash: UInt64) -> (slot: Int, entry: Int?) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let index = slots[slot]
      if index < 0 { return (slot, nil) }
      let entry = entries[Int(index)]
      if entry.hash == hash, entry.count == key.count,
        isSame(entry, key)
      {
        return (slot, Int(index))
      }
      slot = (slot + 1) & mask
    }
  }

  @inline(__always)
  private func isSame(_ entry: Entry, _ key: TextBytes) -> Bool {
    arena.withUnsafeBufferPointer { arena in
      for position in 0..<key.count where arena[entry.offset + position] != key[position] {
        return false
      }
      return true
    }
  }

  private mutating func grow() {
    slots = Array(repeating: -1, count: slots.count * 2)
    let mask = slots.count - 1
    for (index, entry) in entries.enumerated() {
      var slot = Int(truncatingIfNeeded: entry.hash) & mask
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = Int32(index)
    }
  }
}
