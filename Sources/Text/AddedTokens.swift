/// A token of `added_tokens`: found in the text before anything else looks at it.
struct AddedToken: Sendable {
  var id: Int32
  var content: String
  /// Left out of decoded text on request.
  var isSpecial: Bool
  /// Matches only where no word character touches it.
  var singleWord: Bool
  /// Takes in the spaces before it.
  var stripsLeft: Bool
  /// Takes in the spaces after it.
  var stripsRight: Bool
  /// Looked for in the normalized text rather than the original.
  var normalized: Bool
}

/// Finds added tokens in a text: leftmost, longest first, none overlapping.
struct AddedTokenFinder: Sendable {
  /// A part of the text: an added token, or text between two.
  struct Part {
    var token: Int32?
    var range: Range<Int>
  }

  private var tokens: [AddedToken] = []
  private var startsToken = [Bool](repeating: false, count: 256)
  /// Edges of a trie over bytes, by node << 8 | byte.
  private var edges: [Int: Int] = [:]
  /// The index of the token that ends at a node.
  private var ends: [Int: Int] = [:]
  private var nodeCount = 1

  /// Whether there is nothing to find.
  var isEmpty: Bool { tokens.isEmpty }

  /// Adds a token under the bytes by which it is to be found.
  mutating func insert(_ token: AddedToken, as pattern: [UInt8]) {
    guard let first = pattern.first else { return }
    startsToken[Int(first)] = true
    var node = 0
    for byte in pattern {
      let key = node << 8 | Int(byte)
      if let child = edges[key] {
        node = child
      } else {
        edges[key] = nodeCount
        node = nodeCount
        nodeCount += 1
      }
    }
    if ends[node] == nil { ends[node] = tokens.count }
    tokens.append(token)
  }

  /// The parts of a text, in order; text parts are not empty.
  func parts(of text: TextBytes) -> [Part] {
    var result: [Part] = []
    var taken = 0
    var position = 0
    while position < text.count {
      guard startsToken[Int(text[position])], let match = longestMatch(text, position) else {
        position += 1
        continue
      }
      let token = tokens[match.token]
      var range = position..<match.end
      position = match.end
      if token.singleWord, touchesWord(text, range) { continue }
      if token.stripsLeft { range = max(taken, spaceStart(text, range.lowerBound))..<match.end }
      if token.stripsRight { range = range.lowerBound..<spaceEnd(text, match.end) }
      if taken < range.lowerBound {
        result.append(Part(token: nil, range: taken..<range.lowerBound))
      }
      result.append(Part(token: token.id, range: range))
      taken = range.upperBound
    }
    if taken < text.count { result.append(Part(token: nil, range: taken..<text.count)) }
    return result
  }

  private func longestMatch(_ text: TextBytes, _ start: Int) -> (token: Int, end: Int)? {
    var best: (token: Int, end: Int)?
    var node = 0
    var position = start
    while position < text.count, let child = edges[node << 8 | Int(text[position])] {
      node = child
      position += 1
      if let token = ends[node] { best = (token, position) }
    }
    return best
  }

  private func touchesWord(_ text: TextBytes, _ range: Range<Int>) -> Bool {
    func isWord(_ code: UInt32) -> Bool { ScalarClasses.of(code).contains(.word) }
    if range.lowerBound > 0, isWord(UTF8Text.scalar(text, before: range.lowerBound).code) {
      return true
    }
    return range.upperBound < text.count && isWord(UTF8Text.scalar(text, range.upperBound).code)
  }

  private func spaceStart(_ text: TextBytes, _ end: Int) -> Int {
    var position = end
    while position > 0 {
      let (code, length) = UTF8Text.scalar(text, before: position)
      guard ScalarClasses.of(code).contains(.space) else { break }
      position -= length
    }
    return position
  }

  private func spaceEnd(_ text: TextBytes, _ start: Int) -> Int {
    var position = start
    while position < text.count {
      let (code, length) = UTF8Text.scalar(text, position)
      guard ScalarClasses.of(code).contains(.space) else { break }
      position += length
    }
    return position
  }
}
