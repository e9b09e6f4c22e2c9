import Architectures
import Text

/// Windows ready to be scored, with what a report says of them.
public struct EvaluationWindows: Sendable, Hashable {
  public let windows: [TokenWindow]
  /// Where the text came from.
  public let source: String
  /// The longest window, a beginning token counted.
  public let length: Int
  public let stride: Int?
  /// The beginning token, when one was put before every window.
  public let beginning: Int32?
  /// Whether the windows came from a file of tokens.
  public let areGiven: Bool

  /// Tokens that are scored.
  public var scoredCount: Int { windows.reduce(0) { $0 + $1.scoredCount } }
}

extension EvaluationData {
  /// The windows to score: consecutive ones over the whole text, the first token of each unscored.
  ///
  /// - Parameter beginning: the tokenizer's beginning token, asked for only when wanted.
  /// - Throws: `EvaluationError.lengthExceedsPositions`, `TextError.tooFewTokens`.
  public func scoringWindows(
    _ cutting: Cutting, for model: ModelDescription, beginning: () throws -> Int32? = { nil }
  ) throws -> EvaluationWindows {
    switch self {
    case .windows(let rows, let source):
      guard cutting.length == nil, cutting.stride == nil, !cutting.withBeginning else {
        throw EvaluationError.tokenFileNeedsNoWindows(path: source)
      }
      try Self.check(rows.map(\.count).max() ?? 0, for: model)
      let kept = rows.prefix(cutting.sequences ?? rows.count)
      return try EvaluationWindows(
        windows: kept.map { TokenWindow(tokens: $0, firstScored: 1) }, source: source,
        length: rows.map(\.count).max() ?? 0, stride: nil, beginning: nil, areGiven: true
      ).checked()
    case .stream(let stream):
      let length = cutting.length ?? min(Self.defaultLength, model.maximumPositions)
      try Self.check(length, for: model)
      let first = cutting.withBeginning ? try beginning() : nil
      var windows = try Windows.consecutive(
        stream, length: length, count: cutting.sequences, stride: cutting.stride, beginning: first)
      if cutting.sequences == nil { windows = Array(windows.prefix(Self.defaultSequences)) }
      return try EvaluationWindows(
        windows: windows, source: stream.source, length: length, stride: cutting.stride,
        beginning: first, areGiven: false
      ).checked()
    }
  }

  /// Windows for calibration: random places of a stream, or the given ones.
  public func calibrationSequences(
    sequences: Int?, length: Int?, seed: UInt64, for model: ModelDescription
  ) throws -> [[Int32]] {
    switch self {
    case .windows(let rows, let source):
      guard length == nil else { throw EvaluationError.tokenFileNeedsNoWindows(path: source) }
      try Self.check(rows.map(\.count).max() ?? 0, for: model)
      return Array(rows.prefix(sequences ?? rows.count))
    case .stream(let stream):
      let length = length ?? min(Self.defaultLength, model.maximumPositions)
      try Self.check(length, for: model)
      return try Windows.random(
        stream, sequences: sequences ?? 128, length: length, seed: seed
      ).map(\.tokens)
    }
  }

  static func check(_ length: Int, for model: ModelDescription) throws(EvaluationError) {
    guard length <= model.maximumPositions else {
      throw .lengthExceedsPositions(length: length, positions: model.maximumPositions)
    }
  }
}

extension EvaluationWindows {
  fileprivate func checked() throws(EvaluationError) -> EvaluationWindows {
    guard scoredCount > 0 else { throw .nothingScored(source: source) }
    return self
  }
}
