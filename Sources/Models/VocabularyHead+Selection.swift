import Tensors

/// Some tokens of every scored row with their log-probabilities.
public struct TokenSelection: Sendable, Hashable {
  /// Of the rows whose target is not negative, in their order.
  public internal(set) var scores: [RowScore] = []
  /// Tokens a row.
  public let count: Int
  /// rows × count token numbers.
  public internal(set) var tokens: [Int32] = []
  /// rows × count natural logarithms, rounded from f64.
  public internal(set) var logProbabilities: [Float] = []
}

extension LanguageModel {
  /// The most likely tokens of every row that has a target, the likeliest first, the smaller
  /// number first among equals.
  ///
  /// Logits are made a tile of the vocabulary at a time; a row holds 2·`count` candidates.
  ///
  /// - Parameters:
  ///   - targets: as for `scores`.
  ///   - count: 1 to the vocabulary's size.
  /// - Throws: what `scores` throws.
  public func mostLikely(
    _ count: Int, of hidden: Matrix<Float>, targets: [Int32]
  ) throws -> TokenSelection {
    precondition((1...description.vocabularySize).contains(count), "\(count) tokens of a row")
    return try selection(count, of: hidden, targets: targets, tokens: nil)
  }

  /// The log-probabilities of given tokens of every row that has a target.
  ///
  /// - Parameters:
  ///   - tokens: `count` numbers within the vocabulary per row that has a target.
  ///   - targets: as for `scores`.
  /// - Throws: what `scores` throws.
  public func logProbabilities(
    ofTokens tokens: [Int32], count: Int, of hidden: Matrix<Float>, targets: [Int32]
  ) throws -> TokenSelection {
    precondition(tokens.count == count * targets.count { $0 >= 0 }, "\(tokens.count) tokens")
    return try selection(count, of: hidden, targets: targets, tokens: tokens)
  }

  private func selection(
    _ count: Int, of hidden: Matrix<Float>, targets: [Int32], tokens: [Int32]?
  ) throws -> TokenSelection {
    precondition(targets.count == hidden.rows, "\(targets.count) targets, \(hidden.rows) rows")
    let head = try requireHead()
    let rows = targets.indices.filter { targets[$0] >= 0 }
    let picked = targets.filter { $0 >= 0 }
    let x = head.prepared(hidden.picking(rows), pool: pool)
    // Candidates of a tile stay under 32 MiB a worker.
    let step = min(VocabularyHead.tileRows, max(1, (32 << 20) / (16 * count)))
    let parts = try pool.map((rows.count + step - 1) / step) { tile throws -> TokenSelection in
      let part = tile * step..<min((tile + 1) * step, rows.count)
      var collector = SelectionCollector(rows: part, count: count, given: tokens)
      head.forEachTile(x, part, 0..<head.vocabulary, scratch: trunk.scratch) { row, logits, range in
        collector.add(row, logits, range, target: Int(picked[part.lowerBound + row]))
      }
      return try collector.selection()
    }
    var result = TokenSelection(count: count)
    for part in parts {
      result.scores += part.scores
      result.tokens += part.tokens
      result.logProbabilities += part.logProbabilities
    }
    return result
  }
}

/// Gathers the wanted logits of a tile of rows while the vocabulary goes by.
private struct SelectionCollector {
  private let rows: Range<Int>
  private let count: Int
  private var partials: [VocabularyHead.Partial]
  /// One a row in one of the two: given tokens, or the largest so far.
  private var given: [GivenTokens] = []
  private var largest: [LargestLogits] = []

  init(rows: Range<Int>, count: Int, given tokens: [Int32]?) {
    (self.rows, self.count) = (rows, count)
    partials = Array(repeating: .init(), count: rows.count)
    if let tokens {
      given = rows.map { GivenTokens(tokens[$0 * count..<($0 + 1) * count]) }
    } else {
      largest = rows.map { _ in LargestLogits(count) }
    }
  }

  mutating func add(
    _ row: Int, _ logits: UnsafePointer<Float>, _ tokens: Range<Int>, target: Int
  ) {
    partials[row].add(logits, tokens: tokens, target: target)
    if given.isEmpty {
      largest[row].add(logits, tokens)
    } else {
      given[row].add(logits, tokens)
    }
  }

  func selection() throws -> TokenSelection {
    var result = TokenSelection(count: count)
    for row in 0..<rows.count {
      result.scores.append(try partials[row].score(row: rows.lowerBound + row))
      let normalizer = partials[row].normalizer
      let found: (tokens: [Int32], logits: [Float]) =
        given.isEmpty ? largest[row].sorted() : (Array(given[row].tokens), given[row].logits)
      result.tokens += found.tokens
      result.logProbabilities += found.logits.map { Float(Double($0) - normalizer) }
    }
    return result
  }
}

/// Given tokens of a row, met in the order of their numbers.
private struct GivenTokens {
  let tokens: ArraySlice<Int32>
  private(set) var logits: [Float]
  private let order: [Int]
  private var next = 0

  init(_ tokens: ArraySlice<Int32>) {
    self.tokens = tokens
    logits = Array(repeating: -.infinity, count: tokens.count)
    order = tokens.indices.sorted { tokens[$0] < tokens[$1] }
  }

  mutating func add(_ row: UnsafePointer<Float>, _ range: Range<Int>) {
    while next < order.count, Int(tokens[order[next]]) < range.upperBound {
      let index = order[next]
      logits[index - tokens.startIndex] = row[Int(tokens[index]) - range.lowerBound]
      next += 1
    }
  }
}

/// The largest logits of a row and whose they are.
///
/// A key holds the logit's bits, made to sort as the numbers do, above the token's complement: the
/// largest keys are the largest logits, the smaller token first among equals.
private struct LargestLogits {
  private let count: Int
  private var keys: [UInt64] = []
  /// What a logit must exceed; tokens come in order, so that a later equal one loses.
  private var threshold = -Float.infinity

  init(_ count: Int) { self.count = count }

  mutating func add(_ row: UnsafePointer<Float>, _ tokens: Range<Int>) {
    for (index, token) in tokens.enumerated() where keys.count < count || row[index] > threshold {
      // −0 and 0 are equal.
      let bits = (row[index] + 0).bitPattern
      let ordered = bits >> 31 == 0 ? bits | 1 << 31 : ~bits
      keys.append(UInt64(ordered) << 32 | UInt64(~UInt32(token)))
      guard keys.count >= 2 * count else { continue }
      keys.sort(by: >)
      keys.removeLast(keys.count - count)
      threshold = keys.last.map(Self.logit) ?? -.infinity
    }
  }

  func sorted() -> (tokens: [Int32], logits: [Float]) {
    let best = keys.sorted(by: >).prefix(count)
    return (best.map { Int32(bitPattern: ~UInt32(truncatingIfNeeded: $0)) }, best.map(Self.logit))
  }

  private static func logit(_ key: UInt64) -> Float {
    let ordered = UInt32(key >> 32)
    return Float(bitPattern: ordered >> 31 == 1 ? ordered & ~(1 << 31) : ~ordered)
  }
}
