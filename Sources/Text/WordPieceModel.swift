/// WordPiece (Schuster and Nakajima, 2012; BERT): the longest token first, from the left.
struct WordPieceModel: Sendable {
  var vocabulary: ByteDictionary
  /// Emitted for a word that cannot be put together.
  var unknown: Int32
  /// Put before every token but a word's first.
  var continuingPrefix: [UInt8]
  /// Longer words, in scalars, become the unknown token.
  var longestWord: Int

  /// Appends the tokens of a word.
  func encode(_ word: TextBytes, into output: inout [Int32]) {
    var scalars = 0
    for byte in word where byte & 0xC0 != 0x80 { scalars += 1 }
    guard scalars <= longestWord else {
      output.append(unknown)
      return
    }
    let mark = output.count
    var buffer = continuingPrefix
    var start = 0
    while start < word.count {
      // No token is longer; without this bound a long word would take cubic time.
      var end = min(word.count, start + vocabulary.longestKey)
      while end < word.count, end > start, word[end] & 0xC0 == 0x80 { end -= 1 }
      var found: Int32?
      while start < end {
        if start == 0 {
          found = vocabulary.value(TextBytes(rebasing: word[..<end]))
        } else {
          buffer.removeLast(buffer.count - continuingPrefix.count)
          buffer += word[start..<end]
          found = vocabulary.value(buffer)
        }
        if found != nil { break }
        end -= UTF8Text.scalar(word, before: end).length
      }
      guard let found else {
        output.removeLast(output.count - mark)
        output.append(unknown)
        return
      }
      output.append(found)
      start = end
    }
  }
}
