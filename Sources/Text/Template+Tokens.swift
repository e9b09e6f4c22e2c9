/// A prompt with the tokens of each option, ready to be scored.
public struct ScoringItem: Sendable, Hashable {
  /// For each option, the tokens of prompt and option together.
  public var sequences: [[Int32]]
  /// For each option, the position of its first token in its sequence; at least 1.
  public var optionStarts: [Int]
  /// The right option, where the record says so.
  public var label: Int?

  /// The tokens of an option alone.
  public func option(_ index: Int) -> ArraySlice<Int32> {
    sequences[index][optionStarts[index]...]
  }
}

/// How a template's records become tokens.
public struct ScoringOptions: Sendable, Hashable {
  /// A token to put first.
  public var beginning: Int32?
  /// Cuts the text of `cutField` to so many of its tokens.
  public var maximumTextTokens: Int?
  /// The field that is cut; nil takes the template's first slot.
  public var cutField: String?
  /// Text before every prompt, such as examples.
  public var prefix: String
  /// The field that holds the right option's number; nil reads none.
  public var labelField: String?

  public init(
    beginning: Int32? = nil, maximumTextTokens: Int? = nil, cutField: String? = nil,
    prefix: String = "", labelField: String? = "label"
  ) {
    self.beginning = beginning
    self.maximumTextTokens = maximumTextTokens
    self.cutField = cutField
    self.prefix = prefix
    self.labelField = labelField
  }
}

extension Template {
  /// The tokens of a record's prompt with each option.
  ///
  /// Where the option starts: prompt and option are tokenized together, as the model would meet
  /// them, and the prompt alone; the option's tokens are those after what the two have in common.
  /// A space between prompt and option so belongs to the option's token, on whichever side of the
  /// brace it is written.
  ///
  /// - Throws: `TextError.optionWithoutTokens` for an option that adds nothing, and what
  ///   rendering throws.
  public func items(
    _ record: TextRecord, with tokenizer: Tokenizer, _ options: ScoringOptions = .init()
  ) throws(TextError) -> ScoringItem {
    let rendered = try render(
      record, replacing: try cutTexts(record, tokenizer, options))
    let beginning = options.beginning.map { [$0] } ?? []
    let alone = beginning + (try tokenizer.encode(options.prefix + rendered.prompt))
    var item = ScoringItem(sequences: [], optionStarts: [])
    for index in rendered.options.indices {
      let whole =
        beginning + (try tokenizer.encode(options.prefix + rendered.text(option: index)))
      let common = zip(alone, whole).prefix { $0 == $1 }.count
      guard common < whole.count, whole.count > 1 else {
        throw .optionWithoutTokens(template: source, option: self.options[index])
      }
      item.sequences.append(whole)
      item.optionStarts.append(max(common, 1))
    }
    if let field = options.labelField {
      item.label = try record.label(field, options: self.options)
    }
    return item
  }

  /// The cut text of the field that is to be cut.
  private func cutTexts(
    _ record: TextRecord, _ tokenizer: Tokenizer, _ options: ScoringOptions
  ) throws(TextError) -> [String: String] {
    guard let maximum = options.maximumTextTokens, let field = options.cutField ?? fields.first
    else { return [:] }
    guard maximum >= 1 else {
      throw .badWindow(name: "text", value: maximum, allowed: "at least 1 token")
    }
    let text = try record.text(field)
    let ids = try tokenizer.encode(text)
    guard ids.count > maximum else { return [:] }
    var cut = tokenizer.decode(ids.prefix(maximum), skipSpecialTokens: false)
    // The cut may fall within a character, whose rest would be scored as a replacement character.
    while cut.unicodeScalars.last == "\u{FFFD}" { cut.unicodeScalars.removeLast() }
    return [field: cut]
  }
}
