extension Tokenizer {
  /// The text of ids; ids that the vocabulary lacks are passed over.
  ///
  /// Bytes that are no UTF-8 become U+FFFD. Without a decoder in the file, tokens are joined by
  /// spaces.
  public func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool = true) -> String {
    var tokens: [String] = []
    for id in ids {
      guard let token = token(for: id) else { continue }
      if skipSpecialTokens, isSpecial(id) { continue }
      tokens.append(parts.decodedTexts[id] ?? token)
    }
    guard let decoder = parts.decoder else { return tokens.joined(separator: " ") }
    return decoder.applied(to: tokens).joined()
  }
}

/// Decodes ids one at a time, holding text back until it ends with a whole character.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  /// Ids already shown, which the next text's spacing may depend on, then ids held back.
  private var ids: [Int32] = []
  private var shownCount = 0
  private var shown: [UInt8] = []

  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = true) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
  }

  /// The text that the next id completes; empty while a character is unfinished.
  public mutating func append(_ id: Int32) -> String {
    if skipSpecialTokens, tokenizer.isSpecial(id) { return "" }
    ids.append(id)
    let text = tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens)
    if text.unicodeScalars.last == "\u{FFFD}" { return "" }
    return take(text)
  }

  /// What is still held back, unfinished characters as U+FFFD.
  public mutating func finish() -> String {
    take(tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens))
  }

  private mutating func take(_ text: String) -> String {
    let bytes = Array(text.utf8)
    let common = zip(bytes, shown).prefix { $0 == $1 }.count
    let new = String(decoding: bytes[common...], as: UTF8.self)
    ids.removeFirst(shownCount)
    shownCount = ids.count
    shown = Array(tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens).utf8)
    return new
  }
}
