/// The `pre_tokenizer` of a tokenizer file: how the text is cut into pieces for the model.
indirect enum PreTokenizer: Sendable {
  case sequence([PreTokenizer])
  case byteLevel(addPrefixSpace: Bool, pattern: RegexPattern?)
  case split(RegexPattern, SplitBehaviour, inverted: Bool)
  case whitespace
  case whitespaceSplit
  case bert
  case metaspace(replacement: [UInt8], scheme: PrependScheme, split: Bool)
  case punctuation(SplitBehaviour)
  case digits(individually: Bool)
  case delimiter(UInt32)

  /// When Metaspace puts its character before a text.
  enum PrependScheme: String, Sendable, CaseIterable {
    case always
    case first
    case never
  }

  /// The names that files use.
  static let known = [
    "Sequence", "ByteLevel", "Split", "Whitespace", "WhitespaceSplit", "BertPreTokenizer",
    "Metaspace", "Punctuation", "Digits", "CharDelimiterSplit",
  ]

  /// The pieces that the given pieces fall into; none is empty.
  func applied(to pieces: [Piece]) throws(TextError) -> [Piece] {
    if case .sequence(let steps) = self {
      var pieces = pieces
      for step in steps { pieces = try step.applied(to: pieces) }
      return pieces
    }
    var result: [Piece] = []
    for piece in pieces where !piece.bytes.isEmpty { result += try applied(to: piece) }
    return result
  }

  private func applied(to piece: Piece) throws(TextError) -> [Piece] {
    switch self {
    case .sequence: return try applied(to: [piece])
    case .byteLevel(let addPrefixSpace, let pattern):
      return try Self.byteLevel(piece, addPrefixSpace, pattern)
    case .split(let pattern, let behaviour, let inverted):
      return try Self.split(piece, pattern, behaviour, inverted: inverted)
    case .whitespace: return Self.words(piece)
    case .whitespaceSplit:
      return Self.split(piece, .removed) { _, classes in classes.contains(.space) }
    case .bert:
      let words = Self.split(piece, .removed) { _, classes in classes.contains(.space) }
      return words.flatMap { word in
        Self.split(word, .isolated) { _, classes in classes.contains(.punctuation) }
      }
    case .metaspace(let replacement, let scheme, let split):
      return Self.metaspace(piece, replacement, scheme, split: split)
    case .punctuation(let behaviour):
      return Self.split(piece, behaviour) { _, classes in classes.contains(.punctuation) }
    case .digits(let individually):
      return Self.split(piece, individually ? .isolated : .contiguous) { _, classes in
        classes.contains(.numeric)
      }
    case .delimiter(let delimiter):
      return Self.split(piece, .removed) { code, _ in code == delimiter }
    }
  }

  private static func byteLevel(
    _ piece: Piece, _ addPrefixSpace: Bool, _ pattern: RegexPattern?
  ) throws(TextError) -> [Piece] {
    var piece = piece
    if addPrefixSpace, piece.bytes.first != 0x20 { piece.bytes = ([0x20] + piece.bytes)[...] }
    var pieces = [piece]
    if let pattern { pieces = try split(piece, pattern, .isolated, inverted: false) }
    return pieces.map { Piece(bytes: ByteAlphabet.mapped($0.bytes)[...], isFirst: $0.isFirst) }
  }

  private static func split(
    _ piece: Piece, _ pattern: RegexPattern, _ behaviour: SplitBehaviour, inverted: Bool
  ) throws(TextError) -> [Piece] {
    let start = piece.bytes.startIndex
    let matches = try piece.bytes.withUnsafeBufferPointer { view throws(TextError) in
      try pattern.matches(in: view)
    }
    let stretches = SplitBehaviour.stretches(
      matches: matches.map { start + $0.lowerBound..<start + $0.upperBound },
      in: start..<piece.bytes.endIndex, inverted: inverted)
    return piece.parts(behaviour.ranges(stretches))
  }

  /// Splits where single scalars match; each is a match of its own.
  private static func split(
    _ piece: Piece, _ behaviour: SplitBehaviour, _ matches: (UInt32, ScalarClasses) -> Bool
  ) -> [Piece] {
    var found: [Range<Int>] = []
    UTF8Text.forEachScalar(piece.bytes) { code, range in
      if matches(code, .of(code)) { found.append(range) }
    }
    let whole = piece.bytes.startIndex..<piece.bytes.endIndex
    return piece.parts(
      behaviour.ranges(SplitBehaviour.stretches(matches: found, in: whole, inverted: false)))
  }

  /// Runs of word characters, and runs of what is neither word nor space: `\w+|[^\w\s]+`.
  private static func words(_ piece: Piece) -> [Piece] {
    var ranges: [Range<Int>] = []
    var kind = ScalarClasses.space
    UTF8Text.forEachScalar(piece.bytes) { code, range in
      let classes = ScalarClasses.of(code)
      let found: ScalarClasses =
        classes.contains(.word) ? .word : classes.contains(.space) ? .space : []
      if found != .space {
        if found == kind, let last = ranges.last {
          ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
          ranges.append(range)
        }
      }
      kind = found
    }
    return piece.parts(ranges)
  }

  private static func metaspace(
    _ piece: Piece, _ replacement: [UInt8], _ scheme: PrependScheme, split: Bool
  ) -> [Piece] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.bytes.count * 2)
    for byte in piece.bytes {
      if byte == 0x20 { bytes += replacement } else { bytes.append(byte) }
    }
    let prepends = scheme == .always || (scheme == .first && piece.isFirst)
    if prepends, !bytes.starts(with: replacement) { bytes = replacement + bytes }
    let whole = Piece(bytes: bytes[...], isFirst: piece.isFirst)
    guard split else { return [whole] }
    var code: UInt32 = 0
    UTF8Text.forEachScalar(replacement[...]) { first, _ in code = first }
    return self.split(whole, .mergedWithNext) { found, _ in found == code }
  }
}
