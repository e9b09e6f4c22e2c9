import JSONText

extension TokenizerReader {
  func decoder(_ value: JSONValue, _ part: String) throws(TextError) -> TokenDecoder {
    let name = try type(value, part)
    switch name {
    case "Sequence": return .sequence(try steps(value, "decoders", part, decoder))
    case "ByteLevel": return .byteLevel
    case "Metaspace":
      return .metaspace(
        replacement: try scalar(value["replacement"], part + ".replacement"),
        dropsFirst: try prependScheme(value, part) != .never)
    case "ByteFallback": return .byteFallback
    case "Fuse": return .fuse
    case "Replace":
      return .replace(
        try pattern(value, part), Array(try string(value, "content", part).utf8))
    case "Strip":
      return .strip(
        try scalar(value["content"], part + ".content"),
        start: try count(value, "start", part), stop: try count(value, "stop", part))
    case "WordPiece":
      return .wordPiece(
        prefix: value["prefix"]?.string ?? "##",
        cleanup: try bool(value, "cleanup", part, default: true))
    case "BPEDecoder": return .bpe(suffix: value["suffix"]?.string ?? "</w>")
    default: throw unsupported(part, name, TokenDecoder.known)
    }
  }

  func postProcessor(_ value: JSONValue, _ part: String) throws(TextError) -> PostProcessor {
    let name = try type(value, part)
    switch name {
    case "Sequence":
      let all = try steps(value, "processors", part, postProcessor)
      return all.reduce(PostProcessor()) { $0.wrapped(by: $1) }
    case "ByteLevel": return PostProcessor()
    case "TemplateProcessing": return try template(value, part)
    case "BertProcessing", "RobertaProcessing":
      return PostProcessor(
        before: [try id(value["cls"]?[1], part + ".cls")],
        after: [try id(value["sep"]?[1], part + ".sep")])
    default: throw unsupported(part, name, PostProcessor.known)
    }
  }

  private func template(_ value: JSONValue, _ part: String) throws(TextError) -> PostProcessor {
    guard let pieces = value["single"]?.array else {
      throw malformed(part + ".single", "a list of pieces")
    }
    var result = PostProcessor()
    var seesText = false
    for piece in pieces {
      if piece["Sequence"] != nil, !seesText {
        seesText = true
      } else if let name = piece["SpecialToken"]?["id"]?.string {
        let place = "\(part).special_tokens['\(name)'].ids"
        guard let ids = value["special_tokens"]?[name]?["ids"]?.array else {
          throw malformed(place, "a list of ids")
        }
        for element in ids {
          let id = try id(element, place)
          if seesText { result.after.append(id) } else { result.before.append(id) }
        }
      } else {
        throw malformed(part + ".single", "special tokens around one sequence")
      }
    }
    guard seesText else { throw malformed(part + ".single", "one sequence") }
    return result
  }

  func addedTokens(_ value: JSONValue?) throws(TextError) -> [AddedToken] {
    guard let value, !value.isNull else { return [] }
    guard let elements = value.array else { throw malformed("added_tokens", "a list") }
    var result: [AddedToken] = []
    for (index, element) in elements.enumerated() {
      let part = "added_tokens[\(index)]"
      let isSpecial = try bool(element, "special", part, default: false)
      result.append(
        AddedToken(
          id: try id(element["id"], part + ".id"),
          content: try string(element, "content", part),
          isSpecial: isSpecial,
          singleWord: try bool(element, "single_word", part, default: false),
          stripsLeft: try bool(element, "lstrip", part, default: false),
          stripsRight: try bool(element, "rstrip", part, default: false),
          normalized: try bool(element, "normalized", part, default: !isSpecial)))
    }
    // Where two tokens are found under the same text, the special one is meant.
    return result.filter(\.isSpecial) + result.filter { !$0.isSpecial }
  }

  func lengthLimits(_ root: JSONValue) throws(TextError) -> LengthLimits {
    var result = LengthLimits()
    if let block = root["truncation"], !block.isNull {
      result.truncation = LengthLimits.Truncation(
        maximum: try count(block, "max_length", "truncation"),
        side: try choice(
          block["direction"], "truncation.direction", default: LengthLimits.Side.right))
    }
    if let block = root["padding"], !block.isNull {
      let fixed = block["strategy"]?["Fixed"]
      let length = fixed?.int
      guard block["strategy"]?.string == "BatchLongest" || (length ?? -1) >= 0,
        length ?? 0 < 1 << 24
      else {
        throw malformed("padding.strategy", "\"BatchLongest\" or {\"Fixed\": length}")
      }
      let multiple = try count(block, "pad_to_multiple_of", "padding", default: 0)
      guard multiple < 1 << 24 else {
        throw malformed("padding.pad_to_multiple_of", "at most \(1 << 24)")
      }
      result.padding = LengthLimits.Padding(
        length: length, multiple: multiple,
        side: try choice(
          block["direction"], "padding.direction", default: LengthLimits.Side.right),
        id: try id(block["pad_id"], "padding.pad_id"))
    }
    return result
  }
}
