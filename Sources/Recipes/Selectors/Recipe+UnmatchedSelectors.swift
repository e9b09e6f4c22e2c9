extension Recipe {
  /// An error for every selector that matches none of a model's tensors, with a guess at what was
  /// meant, and for every expression that gives up.
  ///
  /// - Parameter names: the names of all tensors of the model.
  public func unmatchedSelectors(names: [String]) -> [RecipeDiagnostic] {
    let selectors = (targets ?? []) + ignore + overrides.flatMap(\.targets)
    var advisor = SelectorAdvisor(names: names)
    return selectors.compactMap { selector in
      let text = YAMLValue.shortened(selector.text, to: 200)
      var exhausted: String?
      for name in names {
        switch selector.outcome(name) {
        case .match: return nil
        case .noMatch: continue
        case .exhausted: exhausted = name
        }
        break
      }
      if let exhausted {
        return RecipeDiagnostic(
          file: file, position: selector.position,
          message: "selector '\(text)' gives up on '\(exhausted)': it backtracks too much",
          note: "use simpler repetitions")
      }
      return RecipeDiagnostic(
        file: file, position: selector.position,
        message: "selector '\(text)' matches no tensor",
        suggestion: advisor.suggestion(for: selector),
        note: "\(names.count) tensors, 'pith inspect' lists them")
    }.sorted { $0.position < $1.position }
  }
}

/// Guesses what a glob that matches nothing was meant to be.
struct SelectorAdvisor {
  private let names: [String]
  private lazy var segments: Set<String> = Set(
    names.flatMap { $0.split(whereSeparator: Self.isSeparator).map(String.init) })

  /// Pattern length × characters of all names beyond which no guess is made.
  private static let maximumWork = 20_000_000

  init(names: [String]) { self.names = names }

  private static func isSeparator(_ character: Character) -> Bool {
    character == "." || character == "/"
  }

  /// A glob or a name that matches and is near; nil for expressions and when nothing is.
  mutating func suggestion(for selector: Selector) -> String? {
    let work = names.reduce(0) { $0 + $1.utf8.count } * selector.text.utf8.count
    guard let glob = selector.glob, work <= Self.maximumWork else { return nil }
    return extended(selector.text) ?? corrected(selector.text) ?? nearestName(to: glob)
  }

  private func matches(_ text: String) -> Bool {
    guard let glob = try? Glob(text) else { return false }
    return names.contains { glob.matches($0) }
  }

  /// A glob must cover the whole name; forgetting what comes before or after is the usual slip.
  private func extended(_ text: String) -> String? {
    [text + ".weight", "*." + text, "*." + text + ".weight", text + "*", "*" + text + "*"]
      .first { matches($0) }
  }

  /// The glob with one of its segments replaced by a near one of the model's.
  private mutating func corrected(_ text: String) -> String? {
    var pieces: [Substring] = []
    var start = text.startIndex
    for index in text.indices where Self.isSeparator(text[index]) {
      pieces += [text[start..<index], text[index...index]]
      start = text.index(after: index)
    }
    pieces.append(text[start...])
    var best: (text: String, distance: Int)?
    for (index, piece) in pieces.enumerated()
    where !piece.isEmpty && !piece.contains(where: { "*?[\\./".contains($0) }) {
      let own = String(piece)
      for segment in segments.sorted() where segment != own {
        let distance = EditDistance.between(own, segment)
        guard distance <= EditDistance.tolerance(own), distance < best?.distance ?? .max else {
          continue
        }
        var changed = pieces
        changed[index] = Substring(segment)
        let candidate = changed.joined()
        if matches(candidate) { best = (candidate, distance) }
      }
    }
    return best?.text
  }

  /// The name that takes the fewest slips to reach, `*` covering anything at no cost.
  private func nearestName(to glob: Glob) -> String? {
    let literals = glob.elements.count { $0 != .run }
    var best: (name: String, distance: Int)?
    for name in names {
      let distance = Self.distance(from: glob, to: name)
      if distance <= max(1, literals / 3), distance < best?.distance ?? .max {
        best = (name, distance)
      }
    }
    return best?.name
  }

  /// The edit distance of a name to the nearest text that the glob covers.
  static func distance(from glob: Glob, to name: String) -> Int {
    let scalars = Array(name.unicodeScalars)
    var previous = Array(0...scalars.count)
    for element in glob.elements {
      let isRun = element == .run
      var current = [isRun ? previous[0] : previous[0] + 1]
      for (index, scalar) in scalars.enumerated() {
        if isRun {
          current.append(min(previous[index + 1], current[index]))
        } else {
          let cost = element.accepts(scalar) ? 0 : 1
          current.append(min(previous[index + 1] + 1, current[index] + 1, previous[index] + cost))
        }
      }
      previous = current
    }
    return previous[scalars.count]
  }
}
