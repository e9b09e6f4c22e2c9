/// A stream of token ids with the name of where they came from, for messages and reports.
public struct TokenStream: Sendable, Hashable {
  public let ids: [Int32]
  public let source: String

  init(unchecked ids: [Int32], source: String) {
    self.ids = ids
    self.source = source
  }

  /// Ids from outside, such as a file of tokens.
  ///
  /// - Throws: `TextError.tokenOutOfRange` for an id that the vocabulary lacks, and
  ///   `TextError.emptyText` when there are none.
  public init(
    _ ids: some Sequence<Int>, vocabularySize: Int, source: String
  ) throws(TextError) {
    var checked: [Int32] = []
    for (index, id) in ids.enumerated() {
      guard id >= 0, id < vocabularySize, let small = Int32(exactly: id) else {
        throw .tokenOutOfRange(
          source: source, index: index, id: id, vocabularySize: vocabularySize)
      }
      checked.append(small)
    }
    guard !checked.isEmpty else { throw .emptyText(source: source) }
    self.init(unchecked: checked, source: source)
  }

  public var count: Int { ids.count }
}
