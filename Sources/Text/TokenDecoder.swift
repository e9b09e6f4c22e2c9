/// The `decoder` of a tokenizer file: from tokens back to text, as a chain over the tokens' texts.
indirect enum TokenDecoder: Sendable {
  case sequence([TokenDecoder])
  case byteLevel
  case metaspace(replacement: Unicode.Scalar, dropsFirst: Bool)
  case byteFallback
  case fuse
  case replace(RegexPattern, [UInt8])
  case strip(Unicode.Scalar, start: Int, stop: Int)
  case wordPiece(prefix: String, cleanup: Bool)
  case bpe(suffix: String)

  /// The names that files use.
  static let known = [
    "Sequence", "ByteLevel", "Metaspace", "ByteFallback", "Fuse", "Replace", "Strip", "WordPiece",
    "BPEDecoder",
  ]

  /// The texts that the tokens' texts become; joined, they are the decoded text.
  func applied(to tokens: [String]) -> [String] {
    switch self {
    case .sequence(let steps): return steps.reduce(tokens) { $1.applied(to: $0) }
    case .byteLevel: return [Self.byteLevel(tokens)]
    case .metaspace(let replacement, let dropsFirst):
      return tokens.enumerated().map { index, token in
        Self.spaced(token, replacement, drops: index == 0 && dropsFirst)
      }
    case .byteFallback: return Self.byteFallback(tokens)
    case .fuse: return [tokens.joined()]
    case .replace(let pattern, let content):
      return tokens.map { token in
        // A decoder has nobody to report to: a text on which the pattern gives up stays as it is.
        let replaced = try? Normalizer.replaced(Array(token.utf8)[...], pattern, content)
        return replaced.map { String(decoding: $0, as: UTF8.self) } ?? token
      }
    case .strip(let scalar, let start, let stop):
      return tokens.map { Self.stripped($0, scalar, start: start, stop: stop) }
    case .wordPiece(let prefix, let cleanup):
      return tokens.enumerated().map { index, token in
        Self.wordPiece(token, prefix: prefix, cleanup: cleanup, isFirst: index == 0)
      }
    case .bpe(let suffix):
      return tokens.enumerated().map { index, token in
        token.replacingBytes(suffix, with: index == tokens.count - 1 ? "" : " ")
      }
    }
  }

  private static func byteLevel(_ tokens: [String]) -> String {
    var bytes: [UInt8] = []
    for token in tokens { bytes += ByteAlphabet.unmapped(token) ?? Array(token.utf8) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func spaced(
    _ token: String, _ replacement: Unicode.Scalar, drops: Bool
  ) -> String {
    var result = String.UnicodeScalarView()
    for scalar in token.unicodeScalars {
      if scalar != replacement { result.append(scalar) } else if !drops { result.append(" ") }
    }
    return String(result)
  }

  private static func byteFallback(_ tokens: [String]) -> [String] {
    var result: [String] = []
    var pending: [UInt8] = []
    func flush() {
      if pending.isEmpty { return }
      if let text = String(validating: pending, as: UTF8.self) {
        result.append(text)
      } else {
        result += Array(repeating: "\u{FFFD}", count: pending.count)
      }
      pending.removeAll()
    }
    for token in tokens {
      if let byte = byteValue(token) {
        pending.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  /// The byte that a token of the form `<0xE2>` stands for.
  static func byteValue(_ token: String) -> UInt8? {
    let bytes = Array(token.utf8)
    guard bytes.count == 6, token.hasPrefix("<0x"), bytes[5] == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: bytes[3..<5], as: UTF8.self), radix: 16)
  }

  private static func stripped(
    _ token: String, _ scalar: Unicode.Scalar, start: Int, stop: Int
  ) -> String {
    let scalars = Array(token.unicodeScalars)
    var lower = 0
    while lower < min(start, scalars.count), scalars[lower] == scalar { lower += 1 }
    var upper = scalars.count
    while upper > lower, scalars.count - upper < stop, scalars[upper - 1] == scalar { upper -= 1 }
    var result = String.UnicodeScalarView()
    result.append(contentsOf: scalars[lower..<upper])
    return String(result)
  }

  private static func wordPiece(
    _ token: String, prefix: String, cleanup: Bool, isFirst: Bool
  ) -> String {
    var text = token
    if !isFirst {
      let bytes = Array(token.utf8)
      text =
        bytes.starts(with: prefix.utf8)
        ? String(decoding: bytes.dropFirst(prefix.utf8.count), as: UTF8.self) : " " + token
    }
    return cleanup ? cleaned(text) : text
  }

  private static let cleanups = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ]

  private static func cleaned(_ text: String) -> String {
    cleanups.reduce(text) { $0.replacingBytes($1.0, with: $1.1) }
  }
}

extension String {
  /// This text with every occurrence of a pattern replaced, compared byte by byte.
  func replacingBytes(_ pattern: String, with content: String) -> String {
    let pattern = Array(pattern.utf8)
    let bytes = Array(utf8)
    guard !pattern.isEmpty, bytes.count >= pattern.count else { return self }
    var result: [UInt8] = []
    var position = 0
    while position < bytes.count {
      if bytes[position...].starts(with: pattern) {
        result += content.utf8
        position += pattern.count
      } else {
        result.append(bytes[position])
        position += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
