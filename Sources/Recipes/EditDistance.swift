/// How many typing slips lie between two texts.
public enum EditDistance {
  /// The optimal string alignment distance: insertions, deletions, substitutions and swaps of
  /// neighbours, each 1 (Damerau 1964, without repeated edits of one place).
  public static func between(_ left: String, _ right: String) -> Int {
    let a = Array(left.unicodeScalars), b = Array(right.unicodeScalars)
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var before = [Int](repeating: 0, count: b.count + 1)
    var previous = Array(0...b.count)
    var current = before
    for i in 1...a.count {
      current[0] = i
      for j in 1...b.count {
        let cost = a[i - 1] == b[j - 1] ? 0 : 1
        var best = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
          best = min(best, before[j - 2] + 1)
        }
        current[j] = best
      }
      (before, previous, current) = (previous, current, before)
    }
    return previous[b.count]
  }

  /// How many slips are still a slip in a text of this length: a third of it, at least one.
  public static func tolerance(_ text: String) -> Int { max(1, text.unicodeScalars.count / 3) }

  /// The nearest of some words, the first among equals; nil when none is near.
  public static func nearest(to text: String, among words: [String]) -> String? {
    // A text far longer than every word is no slip, and the quadratic table would be large.
    guard text.unicodeScalars.count <= 256 else { return nil }
    var found: (word: String, distance: Int)?
    for word in words where word != text {
      let distance = between(text.lowercased(), word.lowercased())
      if distance <= tolerance(text), distance < found?.distance ?? .max {
        found = (word, distance)
      }
    }
    return found?.word
  }
}
