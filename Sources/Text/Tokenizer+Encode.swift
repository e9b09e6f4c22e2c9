extension Tokenizer {
  /// The ids of a text.
  ///
  /// The text goes in by its scalars as they are, NUL included. `truncation` and `padding` blocks
  /// of the file are left alone: windows and scoring need the whole text.
  ///
  /// - Parameter addSpecialTokens: Whether the file's post-processor puts its tokens around.
  /// - Throws: `TextError.patternGaveUp` when a pattern of the file exceeds its limits.
  public func encode(
    _ text: String, addSpecialTokens: Bool = false
  ) throws(TextError) -> [Int32] {
    var text = text
    // Two closures deep, because `withUTF8` passes no typed error on.
    let result = text.withUTF8 { bytes in
      Result { () throws(TextError) in try self.encode(checked: bytes) }
    }
    return wrapped(try result.get(), addSpecialTokens: addSpecialTokens)
  }

  /// The ids of a text given as bytes.
  ///
  /// - Throws: `TextError.invalidUTF8` with the offset of the first bad byte.
  public func encode(
    utf8 bytes: UnsafeBufferPointer<UInt8>, source: String = "the text",
    addSpecialTokens: Bool = false
  ) throws(TextError) -> [Int32] {
    if let offset = UTF8Text.firstInvalid(bytes) {
      throw .invalidUTF8(source: source, offset: offset)
    }
    return wrapped(try encode(checked: bytes), addSpecialTokens: addSpecialTokens)
  }

  /// The ids of a text given as bytes.
  public func encode(
    utf8 bytes: [UInt8], source: String = "the text", addSpecialTokens: Bool = false
  ) throws(TextError) -> [Int32] {
    try bytes.withUnsafeBufferPointer { view throws(TextError) in
      try encode(utf8: view, source: source, addSpecialTokens: addSpecialTokens)
    }
  }

  /// The ids of a text, cut and filled up as the file's truncation and padding blocks say.
  public func encodeLimited(
    _ text: String, addSpecialTokens: Bool = true
  ) throws(TextError) -> [Int32] {
    let ids = try encode(text, addSpecialTokens: false)
    let added = addSpecialTokens ? parts.postProcessor.count : 0
    let cut = lengthLimits.truncated(ids, added: added)
    return lengthLimits.padded(wrapped(cut, addSpecialTokens: addSpecialTokens))
  }

  private func wrapped(_ ids: [Int32], addSpecialTokens: Bool) -> [Int32] {
    guard addSpecialTokens, parts.postProcessor.count > 0 else { return ids }
    return parts.postProcessor.before + ids + parts.postProcessor.after
  }

  private func encode(checked text: TextBytes) throws(TextError) -> [Int32] {
    try pool.withScratch { scratch throws(TextError) in
      var output: [Int32] = []
      output.reserveCapacity(text.count / 3 + 8)
      if parts.originalTokens.isEmpty {
        try encode(text, isFirst: true, scratch, into: &output)
        return output
      }
      for part in parts.originalTokens.parts(of: text) {
        if let token = part.token {
          output.append(token)
        } else {
          let between = TextBytes(rebasing: text[part.range])
          try encode(between, isFirst: part.range.lowerBound == 0, scratch, into: &output)
        }
      }
      return output
    }
  }

  /// A stretch without added tokens of the original kind: normalized, then searched for the rest.
  private func encode(
    _ text: TextBytes, isFirst: Bool, _ scratch: EncodeScratch, into output: inout [Int32]
  ) throws(TextError) {
    guard let normalizer = parts.normalizer else {
      return try encode(normalized: text, isFirst: isFirst, scratch, into: &output)
    }
    let normalized = try normalizer.applied(to: Array(text)[...])
    let ids = try normalized.withUnsafeBufferPointer { view throws(TextError) in
      var ids: [Int32] = []
      try encode(normalized: view, isFirst: isFirst, scratch, into: &ids)
      return ids
    }
    output += ids
  }

  private func encode(
    normalized text: TextBytes, isFirst: Bool, _ scratch: EncodeScratch,
    into output: inout [Int32]
  ) throws(TextError) {
    if parts.normalizedTokens.isEmpty {
      return try encode(plain: text, isFirst: isFirst, scratch, into: &output)
    }
    for part in parts.normalizedTokens.parts(of: text) {
      if let token = part.token {
        output.append(token)
      } else {
        let between = TextBytes(rebasing: text[part.range])
        let starts = isFirst && part.range.lowerBound == 0
        try encode(plain: between, isFirst: starts, scratch, into: &output)
      }
    }
  }

  /// A stretch of normalized text without any added token.
  private func encode(
    plain text: TextBytes, isFirst: Bool, _ scratch: EncodeScratch, into output: inout [Int32]
  ) throws(TextError) {
    if case .bpe(let model) = parts.model, let (scanner, alphabet) = scanner {
      scan(text, scanner, model, alphabet, scratch, into: &output)
      return
    }
    var pieces = [Piece(bytes: Array(text)[...], isFirst: isFirst)]
    if let preTokenizer = parts.preTokenizer { pieces = try preTokenizer.applied(to: pieces) }
    for piece in pieces where !piece.bytes.isEmpty {
      piece.bytes.withUnsafeBufferPointer { encode(piece: $0, scratch, into: &output) }
    }
  }

  private func encode(
    piece: TextBytes, _ scratch: EncodeScratch, into output: inout [Int32]
  ) {
    let isCached = route == .fast && piece.count <= WordCache.longestWord
    let hash = isCached ? ByteDictionary.hash(piece) : 0
    if isCached, scratch.cache.append(piece, hash: hash, to: &output) { return }
    let mark = output.count
    switch parts.model {
    case .bpe(let model): model.encode(piece, scratch, into: &output)
    case .wordPiece(let model): model.encode(piece, into: &output)
    }
    if isCached { scratch.cache.insert(piece, hash: hash, output[mark...]) }
  }

  /// Pieces straight from the bytes, known ones from the cache.
  private func scan(
    _ text: TextBytes, _ scanner: SplitScanner, _ model: BPEModel, _ alphabet: [Int32],
    _ scratch: EncodeScratch, into output: inout [Int32]
  ) {
    ScalarClasses.basicPlane.withUnsafeBufferPointer { classes in
      guard let classes = classes.baseAddress else { return }
      var position = 0
      while position < text.count {
        let end = scanner.pieceEnd(text, position, classes)
        let piece = TextBytes(rebasing: text[position..<end])
        position = end
        if piece.count > WordCache.longestWord {
          model.encodeBytes(piece, alphabet: alphabet, scratch, into: &output)
          continue
        }
        let hash = ByteDictionary.hash(piece)
        if scratch.cache.append(piece, hash: hash, to: &output) { continue }
        let mark = output.count
        model.encodeBytes(piece, alphabet: alphabet, scratch, into: &output)
        scratch.cache.insert(piece, hash: hash, output[mark...])
      }
    }
  }
}
