import JSONText

extension TokenizerReader {
  func normalizer(_ value: JSONValue, _ part: String) throws(TextError) -> Normalizer {
    let name = try type(value, part)
    if let form = NormalizationForm(rawValue: name) { return .form(form) }
    switch name {
    case "Sequence": return .sequence(try steps(value, "normalizers", part, normalizer))
    case "Lowercase": return .lowercase
    case "StripAccents": return .stripAccents
    case "Strip":
      return .strip(
        left: try bool(value, "strip_left", part, default: true),
        right: try bool(value, "strip_right", part, default: true))
    case "Prepend": return .prepend(Array(try string(value, "prepend", part).utf8))
    case "Replace":
      return .replace(
        try pattern(value, part), Array(try string(value, "content", part).utf8))
    case "BertNormalizer":
      let lowercase = try bool(value, "lowercase", part, default: true)
      return .bert(
        cleanText: try bool(value, "clean_text", part, default: true),
        spaceChinese: try bool(value, "handle_chinese_chars", part, default: true),
        stripAccents: try bool(value, "strip_accents", part, default: lowercase),
        lowercase: lowercase)
    case "Nmt": return .nmt
    case "ByteLevel": return .byteLevel
    default: throw unsupported(part, name, Normalizer.known)
    }
  }

  func preTokenizer(_ value: JSONValue, _ part: String) throws(TextError) -> PreTokenizer {
    let name = try type(value, part)
    switch name {
    case "Sequence": return .sequence(try steps(value, "pretokenizers", part, preTokenizer))
    case "ByteLevel":
      let usesPattern = try bool(value, "use_regex", part, default: true)
      return .byteLevel(
        addPrefixSpace: try bool(value, "add_prefix_space", part, default: true),
        pattern: usesPattern ? try RegexPattern(SplitScanner.gpt2Pattern, path: path) : nil)
    case "Split":
      return .split(
        try pattern(value, part), try choice(value["behavior"], part + ".behavior"),
        inverted: try bool(value, "invert", part, default: false))
    case "Whitespace": return .whitespace
    case "WhitespaceSplit": return .whitespaceSplit
    case "BertPreTokenizer": return .bert
    case "Metaspace": return try metaspace(value, part)
    case "Punctuation":
      return .punctuation(
        try choice(value["behavior"], part + ".behavior", default: SplitBehaviour.isolated))
    case "Digits":
      return .digits(individually: try bool(value, "individual_digits", part, default: false))
    case "CharDelimiterSplit":
      return .delimiter(try scalar(value["delimiter"], part + ".delimiter").value)
    default: throw unsupported(part, name, PreTokenizer.known)
    }
  }

  private func metaspace(_ value: JSONValue, _ part: String) throws(TextError) -> PreTokenizer {
    var bytes: [UInt8] = []
    UTF8Text.append(try scalar(value["replacement"], part + ".replacement").value, to: &bytes)
    return .metaspace(
      replacement: bytes, scheme: try prependScheme(value, part),
      split: try bool(value, "split", part, default: true))
  }

  /// The scheme, which older files give as `add_prefix_space`.
  func prependScheme(
    _ value: JSONValue, _ part: String
  ) throws(TextError) -> PreTokenizer.PrependScheme {
    let adds = try bool(value, "add_prefix_space", part, default: true)
    return try choice(
      value["prepend_scheme"], part + ".prepend_scheme",
      default: adds ? PreTokenizer.PrependScheme.always : .never)
  }
}
