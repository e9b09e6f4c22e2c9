/// Unicode's normalization forms (UAX #15), on the tables in `Decompositions`.
enum NormalizationForm: String, Sendable, CaseIterable {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  private var isCompatibility: Bool { self == .nfkc || self == .nfkd }
  private var composes: Bool { self == .nfc || self == .nfkc }

  /// Scalars below this are left alone by the form and combine with nothing before them.
  private var firstChanging: UInt32 {
    switch self {
    case .nfc: 0x300
    case .nfd: 0xC0
    case .nfkc, .nfkd: 0xA0
    }
  }

  /// The text in this form.
  func applied(to bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var changes = false
    UTF8Text.forEachScalar(bytes) { code, _ in changes = changes || code >= firstChanging }
    guard changes else { return bytes }
    var scalars = decomposed(bytes)
    Self.reorder(&scalars)
    if composes { scalars = Self.composed(scalars) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for code in scalars { UTF8Text.append(code, to: &result) }
    return result[...]
  }

  private func decomposed(_ bytes: ArraySlice<UInt8>) -> [UInt32] {
    let table = isCompatibility ? Decompositions.compatibility : Decompositions.canonical
    var result: [UInt32] = []
    result.reserveCapacity(bytes.count)
    UTF8Text.forEachScalar(bytes) { code, _ in
      if code < 0xA0 {
        result.append(code)
      } else if code >= Hangul.syllables.lowerBound, code < Hangul.syllables.upperBound {
        Hangul.decompose(code, into: &result)
      } else if let mapping = table[code] {
        result += mapping
      } else {
        result.append(code)
      }
    }
    return result
  }

  /// The canonical ordering algorithm: a stable sort of each run of combining marks.
  private static func reorder(_ scalars: inout [UInt32]) {
    var position = 0
    while position < scalars.count {
      guard Decompositions.combiningClass(scalars[position]) != 0 else {
        position += 1
        continue
      }
      var end = position
      var marks: [(rank: UInt8, order: Int, code: UInt32)] = []
      while end < scalars.count {
        let rank = Decompositions.combiningClass(scalars[end])
        if rank == 0 { break }
        marks.append((rank, end, scalars[end]))
        end += 1
      }
      marks.sort { ($0.rank, $0.order) < ($1.rank, $1.order) }
      for (offset, mark) in marks.enumerated() { scalars[position + offset] = mark.code }
      position = end
    }
  }

  /// The canonical composition algorithm.
  private static func composed(_ scalars: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count)
    var starter: Int?
    var lastClass: UInt8 = 0
    for code in scalars {
      let rank = Decompositions.combiningClass(code)
      if let place = starter {
        let adjacent = place == result.count - 1
        // A mark is blocked from its starter by one between them of the same or a higher class.
        if adjacent || (lastClass != 0 && lastClass < rank),
          let composite = composite(result[place], code)
        {
          result[place] = composite
          continue
        }
      }
      if rank == 0 { starter = result.count }
      lastClass = rank
      result.append(code)
    }
    return result
  }

  private static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    Hangul.composite(first, second)
      ?? Decompositions.composites[UInt64(first) << 32 | UInt64(second)]
  }
}

/// Hangul syllables, which decompose by arithmetic (Unicode chapter 3.12).
enum Hangul {
  static let syllables: Range<UInt32> = 0xAC00..<0xD7A4

  /// Appends the leading, vowel and trailing jamo of a syllable.
  static func decompose(_ code: UInt32, into result: inout [UInt32]) {
    let index = code - 0xAC00
    result.append(0x1100 + index / 588)
    result.append(0x1161 + index % 588 / 28)
    if index % 28 != 0 { result.append(0x11A7 + index % 28) }
  }

  /// The syllable that two code points compose to.
  static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100..<0x1113).contains(first), (0x1161..<0x1176).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
    }
    if syllables.contains(first), (first - 0xAC00) % 28 == 0, (0x11A8..<0x11C3).contains(second) {
      return first + (second - 0x11A7)
    }
    return nil
  }
}
