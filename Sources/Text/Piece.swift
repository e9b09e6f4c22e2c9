/// A stretch of text on its way through the pre-tokenizers.
struct Piece: Sendable {
  /// Its bytes, UTF-8.
  var bytes: ArraySlice<UInt8>
  /// Whether it starts where the whole text starts: Metaspace's scheme `first` asks.
  var isFirst: Bool

  /// The parts of this piece at the given ranges; empty ones vanish.
  func parts(_ ranges: [Range<Int>]) -> [Piece] {
    ranges.compactMap { range in
      range.isEmpty
        ? nil
        : Piece(bytes: bytes[range], isFirst: isFirst && range.lowerBound == bytes.startIndex)
    }
  }
}

/// What becomes of the matches when a text is split at them.
enum SplitBehaviour: String, Sendable, CaseIterable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  /// One stretch between two boundaries.
  struct Stretch {
    var range: Range<Int>
    var isMatch: Bool
  }

  /// Matches and the gaps between them, in order, covering the whole range.
  static func stretches(
    matches: [Range<Int>], in whole: Range<Int>, inverted: Bool
  ) -> [Stretch] {
    var result: [Stretch] = []
    var end = whole.lowerBound
    for match in matches {
      if match.lowerBound > end {
        result.append(Stretch(range: end..<match.lowerBound, isMatch: inverted))
      }
      result.append(Stretch(range: match, isMatch: !inverted))
      end = match.upperBound
    }
    if end < whole.upperBound {
      result.append(Stretch(range: end..<whole.upperBound, isMatch: inverted))
    }
    return result
  }

  /// The ranges that remain; may hold empty ones.
  func ranges(_ stretches: [Stretch]) -> [Range<Int>] {
    switch self {
    case .removed: return stretches.filter { !$0.isMatch }.map(\.range)
    case .isolated: return stretches.map(\.range)
    case .contiguous:
      return merged(stretches) { stretch, previous in stretch.isMatch == previous }
    case .mergedWithPrevious:
      return merged(stretches) { stretch, previous in stretch.isMatch && !previous }
    case .mergedWithNext:
      let backwards = merged(stretches.reversed()) { stretch, previous in
        stretch.isMatch && !previous
      }
      return backwards.reversed()
    }
  }

  /// Joins each stretch to the one before it where the closure, given whether that was a match,
  /// says so.
  private func merged(
    _ stretches: some Sequence<Stretch>, _ joins: (Stretch, Bool) -> Bool
  ) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var previous = false
    for stretch in stretches {
      if joins(stretch, previous), let last = result.last {
        let lower = min(last.lowerBound, stretch.range.lowerBound)
        result[result.count - 1] = lower..<max(last.upperBound, stretch.range.upperBound)
      } else {
        result.append(stretch.range)
      }
      previous = stretch.isMatch
    }
    return result
  }
}
