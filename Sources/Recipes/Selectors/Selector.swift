/// Which tensors a part of a recipe speaks of, by their names.
public struct Selector: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    /// `*`, `?` and `[ab]`; covers the whole name.
    case glob
    /// `re:…`, found anywhere in the name.
    case regularExpression
  }

  /// As it stands in the recipe, `re:` included.
  public let text: String
  public let kind: Kind
  @Incidental public var position: SourcePosition
  @Incidental private var matcher: Matcher

  private enum Matcher: Sendable {
    case glob(Glob)
    case expression(RegularExpression)
  }

  /// A selector from its text.
  ///
  /// - Throws: `SelectorError` when the glob or the expression is malformed.
  public init(_ text: String, position: SourcePosition = .none) throws(SelectorError) {
    self.text = text
    self.position = position
    if text.hasPrefix("re:") {
      kind = .regularExpression
      matcher = .expression(try RegularExpression(String(text.dropFirst(3))))
    } else {
      kind = .glob
      matcher = .glob(try Glob(text))
    }
  }

  /// Whether the selector speaks of the tensor of this name.
  ///
  /// An expression that runs out of its limit doesn't match; `Recipe.unmatchedSelectors` reports it.
  public func matches(_ name: String) -> Bool { outcome(name) == .match }

  func outcome(_ name: String) -> RegularExpression.Outcome {
    switch matcher {
    case .glob(let glob): glob.matches(name) ? .match : .noMatch
    case .expression(let expression): expression.outcome(name)
    }
  }

  var glob: Glob? { if case .glob(let glob) = matcher { glob } else { nil } }
}

/// Why a selector's text is malformed.
public enum SelectorError: Error, Sendable, Hashable {
  case empty
  /// Longer than `limit` bytes.
  case tooLong(bytes: Int, limit: Int)
  /// A `[` without its `]`, or a class that is empty, at an offset in characters.
  case glob(problem: String, offset: Int)
  /// PCRE2's own words, and the offset in the expression.
  case expression(problem: String, offset: Int)
}

extension SelectorError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .empty: "the selector is empty"
    case .tooLong(let bytes, let limit):
      "the selector has \(bytes) bytes; at most \(limit) are allowed"
    case .glob(let problem, let offset): "\(problem) at character \(offset + 1) of the glob"
    case .expression(let problem, let offset):
      "\(problem) at character \(offset + 1) of the regular expression"
    }
  }
}
