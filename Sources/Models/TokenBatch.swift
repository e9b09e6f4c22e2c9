import Architectures

/// Sequences of unequal length laid end to end: no padding anywhere.
public struct TokenBatch: Sendable {
  /// All tokens, sequence after sequence.
  public let tokens: [Int32]
  /// Where each sequence starts, and the end of the last: one more than there are sequences.
  public let offsets: [Int]
  /// Segment numbers for encoders; nil means all 0.
  public let tokenTypes: [Int32]?
  /// The sequence that comes before each, an earlier one of this batch; nil: none.
  ///
  /// Options after one prompt see its keys and values, which are made once.
  public let prefixes: [Int?]

  /// - Parameter prefixes: nil: no sequence goes on from another.
  public init(
    _ sequences: [[Int32]], tokenTypes: [[Int32]]? = nil, prefixes: [Int?]? = nil
  ) {
    let prefixes = prefixes ?? Array(repeating: nil, count: sequences.count)
    precondition(prefixes.count == sequences.count, "a prefix or none for each sequence")
    for (index, prefix) in prefixes.enumerated() {
      guard let prefix else { continue }
      precondition(
        prefix >= 0 && prefix < index && prefixes[prefix] == nil,
        "sequence \(index) goes on from \(prefix), which begins no text before it")
    }
    self.prefixes = prefixes
    tokens = sequences.flatMap { $0 }
    var ends = [0]
    for sequence in sequences { ends.append((ends.last ?? 0) + sequence.count) }
    offsets = ends
    self.tokenTypes = tokenTypes?.flatMap { $0 }
  }

  /// Batches one after another.
  public init(joining batches: [TokenBatch]) {
    var (sequences, prefixes): ([[Int32]], [Int?]) = ([], [])
    for batch in batches {
      let first = sequences.count
      sequences += (0..<batch.sequences).map { Array(batch.tokens[batch.rows(of: $0)]) }
      prefixes += batch.prefixes.map { $0.map { $0 + first } }
    }
    self.init(sequences, prefixes: prefixes)
  }

  /// The number of sequences.
  public var sequences: Int { offsets.count - 1 }
  /// The number of tokens.
  public var rows: Int { tokens.count }
  /// The rows of a sequence.
  public func rows(of sequence: Int) -> Range<Int> { offsets[sequence]..<offsets[sequence + 1] }
  /// The rows of the sequence that a sequence goes on from.
  func prefixRows(of sequence: Int) -> Range<Int>? { prefixes[sequence].map { rows(of: $0) } }

  /// Checks the tokens against a model.
  ///
  /// - Parameter past: tokens that each sequence has behind it already (a cache); nil means none.
  /// - Throws: `ModelError` naming the sequence and the position.
  public func validate(
    for description: ModelDescription, past: [Int]? = nil
  ) throws(ModelError) {
    let vocabulary = description.vocabularySize
    for sequence in 0..<sequences {
      let range = rows(of: sequence)
      let before = prefixRows(of: sequence)?.count ?? 0
      let length = range.count + (past?[sequence] ?? 0) + before
      guard length <= description.maximumPositions else {
        throw .sequenceTooLong(
          sequence: sequence, length: length, limit: description.maximumPositions)
      }
      for row in range where tokens[row] < 0 || Int(tokens[row]) >= vocabulary {
        throw .tokenOutOfRange(
          sequence: sequence, position: row - range.lowerBound, token: Int(tokens[row]),
          vocabulary: vocabulary)
      }
    }
    guard let tokenTypes else { return }
    guard tokenTypes.count == tokens.count else {
      throw .tokenTypesDoNotFit(tokens: tokens.count, types: tokenTypes.count)
    }
    let types = max(description.embedding.tokenTypeRows, 1)
    for (row, type) in tokenTypes.enumerated() where type < 0 || Int(type) >= types {
      throw .tokenTypeOutOfRange(position: row, type: Int(type), types: types)
    }
  }

  /// Runs of whole sequences of at most `rows` rows each, at least one sequence a run; what goes on
  /// from a sequence stays with it.
  func chunks(ofRows limit: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var first = 0
    for sequence in 0..<sequences {
      if sequence > first, prefixes[sequence] == nil,
        offsets[sequence + 1] - offsets[first] > limit
      {
        result.append(first..<sequence)
        first = sequence
      }
    }
    if first < sequences { result.append(first..<sequences) }
    return result
  }

  /// The same in so many runs of about the same number of rows, or more where one would have more
  /// than `limit`.
  func shares(_ count: Int, ofRows limit: Int) -> [Range<Int>] {
    guard count > 1 else { return chunks(ofRows: limit) }
    var borders = [0]
    for sequence in 0..<sequences where sequence > 0 && prefixes[sequence] == nil {
      // The border nearest to its share of the rows.
      let middle = offsets[sequence] + offsets[sequence + 1]
      if borders.count < count, middle * count >= 2 * borders.count * rows {
        borders.append(sequence)
      }
    }
    borders.append(sequences)
    let runs = zip(borders, borders.dropFirst()).filter { $0 < $1 }.map { $0..<$1 }
    let isTooLong = runs.contains { offsets[$0.upperBound] - offsets[$0.lowerBound] > limit }
    return isTooLong ? chunks(ofRows: limit) : runs
  }
}
