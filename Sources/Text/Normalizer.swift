/// The `normalizer` of a tokenizer file: what is done to the text before it is split.
indirect enum Normalizer: Sendable {
  case sequence([Normalizer])
  case form(NormalizationForm)
  case lowercase
  case stripAccents
  case strip(left: Bool, right: Bool)
  case prepend([UInt8])
  case replace(RegexPattern, [UInt8])
  case bert(cleanText: Bool, spaceChinese: Bool, stripAccents: Bool, lowercase: Bool)
  case nmt
  case byteLevel

  /// The names that files use.
  static let known = [
    "Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip", "Prepend",
    "Replace", "BertNormalizer", "Nmt", "ByteLevel",
  ]

  /// The normalized text.
  func applied(to text: ArraySlice<UInt8>) throws(TextError) -> ArraySlice<UInt8> {
    switch self {
    case .sequence(let steps):
      var text = text
      for step in steps { text = try step.applied(to: text) }
      return text
    case .form(let form): return form.applied(to: text)
    case .lowercase: return Self.lowercased(text)
    case .stripAccents: return Self.filtered(text) { !ScalarClasses.of($0).contains(.mark) }
    case .strip(let left, let right): return Self.stripped(text, left: left, right: right)
    case .prepend(let prefix): return text.isEmpty ? text : (prefix + text)[...]
    case .replace(let pattern, let content):
      return try Self.replaced(text, pattern, content)
    case .bert(let cleanText, let spaceChinese, let stripAccents, let lowercase):
      return Self.bert(text, cleanText, spaceChinese, stripAccents, lowercase)
    case .nmt: return Self.nmt(text)
    case .byteLevel: return ByteAlphabet.mapped(text)[...]
    }
  }

  private static func filtered(
    _ text: ArraySlice<UInt8>, _ keep: (UInt32) -> Bool
  ) -> ArraySlice<UInt8> {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    UTF8Text.forEachScalar(text) { code, range in
      if keep(code) { result += text[range] }
    }
    return result[...]
  }

  /// Each scalar by itself: a final sigma is no special case here.
  private static func lowercased(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    UTF8Text.forEachScalar(text) { code, _ in
      if code < 0x80 {
        result.append(UInt8(code) | (0x41...0x5A ~= code ? 0x20 : 0))
      } else if let scalar = Unicode.Scalar(code) {
        result += scalar.properties.lowercaseMapping.utf8
      }
    }
    return result[...]
  }

  private static func stripped(
    _ text: ArraySlice<UInt8>, left: Bool, right: Bool
  ) -> ArraySlice<UInt8> {
    var first: Int?
    var last = text.startIndex
    UTF8Text.forEachScalar(text) { code, range in
      if !ScalarClasses.of(code).contains(.space) {
        first = first ?? range.lowerBound
        last = range.upperBound
      }
    }
    guard let first else { return left || right ? text[text.startIndex..<text.startIndex] : text }
    return text[(left ? first : text.startIndex)..<(right ? last : text.endIndex)]
  }

  static func replaced(
    _ text: ArraySlice<UInt8>, _ pattern: RegexPattern, _ content: [UInt8]
  ) throws(TextError) -> ArraySlice<UInt8> {
    let matches = try text.withUnsafeBufferPointer { view throws(TextError) in
      try pattern.matches(in: view)
    }
    guard !matches.isEmpty else { return text }
    var result: [UInt8] = []
    var end = text.startIndex
    for match in matches {
      result += text[end..<text.startIndex + match.lowerBound]
      result += content
      end = text.startIndex + match.upperBound
    }
    result += text[end...]
    return result[...]
  }

  /// BERT's own cleaning, in its order: clean, space ideographs, strip accents, lowercase.
  private static func bert(
    _ text: ArraySlice<UInt8>, _ cleanText: Bool, _ spaceChinese: Bool, _ stripAccents: Bool,
    _ lowercase: Bool
  ) -> ArraySlice<UInt8> {
    var text = text
    if cleanText { text = cleaned(text) }
    if spaceChinese { text = spaced(text) }
    if stripAccents {
      text = filtered(NormalizationForm.nfd.applied(to: text)) {
        !ScalarClasses.of($0).contains(.nonspacingMark)
      }
    }
    return lowercase ? lowercased(text) : text
  }

  private static func cleaned(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    UTF8Text.forEachScalar(text) { code, range in
      let classes = ScalarClasses.of(code)
      if code == 0x09 || code == 0x0A || code == 0x0D {
        result.append(0x20)
      } else if code == 0xFFFD || classes.contains(.other) {
        return
      } else if classes.contains(.space) {
        result.append(0x20)
      } else {
        result += text[range]
      }
    }
    return result[...]
  }

  private static let ideographs: [ClosedRange<UInt32>] = [
    0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
    0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F,
  ]

  private static func spaced(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    UTF8Text.forEachScalar(text) { code, range in
      if code >= 0x3400, ideographs.contains(where: { $0.contains(code) }) {
        result.append(0x20)
        result += text[range]
        result.append(0x20)
      } else {
        result += text[range]
      }
    }
    return result[...]
  }

  private static func nmt(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    UTF8Text.forEachScalar(text) { code, range in
      switch code {
      case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: return
      case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF,
        0xFFFD:
        result.append(0x20)
      default: result += text[range]
      }
    }
    return result[...]
  }
}
