/// What a misspelt name may have meant.
enum Spelling {
  /// The nearest of some names, when it is near enough to be meant; letter case counts little.
  static func nearest(to name: String, among names: [String]) -> String? {
    let limit = max(1, name.count / 3)
    let rated = names.map { ($0, distance(name.lowercased(), $0.lowercased())) }
    let best = rated.min { ($0.1, $0.0) < ($1.1, $1.0) }
    return best.flatMap { $0.1 <= limit ? $0.0 : nil }
  }

  /// Levenshtein's edit distance.
  static func distance(_ first: String, _ second: String) -> Int {
    let second = Array(second)
    var row = Array(0...second.count)
    for (i, left) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, right) in second.enumerated() {
        let substituted = diagonal + (left == right ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
      }
    }
    return row[second.count]
  }
}
