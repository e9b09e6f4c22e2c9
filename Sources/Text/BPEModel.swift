/// Byte-pair encoding (Sennrich et al., ACL 2016), with the options that tokenizer files have.
struct BPEModel: Sendable {
  var vocabulary: ByteDictionary
  var merges: MergeTable
  /// Emitted for a symbol that the vocabulary lacks; nil drops the symbol.
  var unknown: Int32?
  /// Neighbouring unknown symbols become one.
  var fusesUnknown = false
  /// The tokens `<0x00>` to `<0xFF>`; nil where the model has no byte fallback.
  var byteTokens: [Int32?]?
  /// A piece that is a token by itself is left whole.
  var ignoresMerges = false
  /// Put before every symbol but a piece's first.
  var continuingPrefix: [UInt8] = []
  /// Put behind a piece's last symbol.
  var wordSuffix: [UInt8] = []
  /// Tokens of the byte alphabet's characters; nil unless all 256 are there.
  var alphabet: [Int32]?

  /// Appends the tokens of a piece given as text.
  func encode(_ piece: TextBytes, _ scratch: EncodeScratch, into output: inout [Int32]) {
    if ignoresMerges, let whole = vocabulary.value(piece) {
      output.append(whole)
      return
    }
    readSymbols(piece, into: &scratch.merging.symbols)
    scratch.merging.merge(merges)
    output += scratch.merging.symbols
  }

  /// Appends the tokens of a piece given as raw bytes, each standing for its alphabet character.
  ///
  /// The same as `encode` on the mapped piece, without mapping it.
  func encodeBytes(
    _ piece: TextBytes, alphabet: [Int32], _ scratch: EncodeScratch, into output: inout [Int32]
  ) {
    if ignoresMerges {
      let mapped = ByteAlphabet.mapped(Array(piece)[...])
      if let whole = vocabulary.value(mapped) {
        output.append(whole)
        return
      }
    }
    scratch.merging.symbols.removeAll(keepingCapacity: true)
    for byte in piece { scratch.merging.symbols.append(alphabet[Int(byte)]) }
    scratch.merging.merge(merges)
    output += scratch.merging.symbols
  }

  private func readSymbols(_ piece: TextBytes, into symbols: inout [Int32]) {
    symbols.removeAll(keepingCapacity: true)
    var pendingUnknown = false
    var position = 0
    while position < piece.count {
      let length = UTF8Text.length(lead: piece[position])
      let scalar = TextBytes(rebasing: piece[position..<position + length])
      let isFirst = position == 0
      position += length
      let isLast = position == piece.count
      if let id = symbol(scalar, isFirst: isFirst, isLast: isLast) {
        if pendingUnknown, let unknown { symbols.append(unknown) }
        pendingUnknown = false
        symbols.append(id)
      } else if let bytes = fallback(scalar, isFirst: isFirst, isLast: isLast) {
        // A pending unknown stays pending, as in the package.
        symbols += bytes
      } else if let unknown {
        if pendingUnknown, !fusesUnknown { symbols.append(unknown) }
        pendingUnknown = true
      }
    }
    if pendingUnknown, let unknown { symbols.append(unknown) }
  }

  private func affixed(_ scalar: TextBytes, isFirst: Bool, isLast: Bool) -> [UInt8]? {
    let takesPrefix = !isFirst && !continuingPrefix.isEmpty
    let takesSuffix = isLast && !wordSuffix.isEmpty
    guard takesPrefix || takesSuffix else { return nil }
    return (takesPrefix ? continuingPrefix : []) + scalar + (takesSuffix ? wordSuffix : [])
  }

  private func symbol(_ scalar: TextBytes, isFirst: Bool, isLast: Bool) -> Int32? {
    if let text = affixed(scalar, isFirst: isFirst, isLast: isLast) {
      return vocabulary.value(text)
    }
    return vocabulary.value(scalar)
  }

  private func fallback(_ scalar: TextBytes, isFirst: Bool, isLast: Bool) -> [Int32]? {
    guard let byteTokens else { return nil }
    let bytes = affixed(scalar, isFirst: isFirst, isLast: isLast) ?? Array(scalar)
    let tokens = bytes.compactMap { byteTokens[Int($0)] }
    return tokens.count == bytes.count ? tokens : nil
  }
}
