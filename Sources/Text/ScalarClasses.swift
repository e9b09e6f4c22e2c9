/// The character classes that tokenizers split and filter by, as bits per Unicode scalar.
///
/// The `tokenizers` package draws its classes from four sources of different ages, and a model
/// was trained with what they said then. The bits reproduce each source by asking the standard
/// library for the class and dismissing scalars that are younger than the source (`age`), with
/// the few scalars whose category changed since as named exceptions. Pinned by the golden files.
struct ScalarClasses: OptionSet, Sendable {
  let rawValue: UInt16

  /// `\p{L}` of the pattern engine (Unicode 16).
  static let letter = ScalarClasses(rawValue: 1 << 0)
  /// `\p{N}` of the pattern engine (Unicode 16).
  static let number = ScalarClasses(rawValue: 1 << 1)
  /// White_Space, which has not changed since Unicode 6.3.
  static let space = ScalarClasses(rawValue: 1 << 2)
  /// `\w` as the pre-tokenizer Whitespace and the added tokens' `single_word` mean it.
  static let word = ScalarClasses(rawValue: 1 << 3)
  /// Categories Nd, Nl and No, of which Digits makes its pieces.
  static let numeric = ScalarClasses(rawValue: 1 << 4)
  /// ASCII punctuation and symbols, and Unicode 8's punctuation: Punctuation, BertPreTokenizer.
  static let punctuation = ScalarClasses(rawValue: 1 << 5)
  /// Unicode 8's control, format and private-use characters: BertNormalizer's clean_text.
  static let other = ScalarClasses(rawValue: 1 << 6)
  /// Unicode 8's nonspacing marks: BertNormalizer's strip_accents.
  static let nonspacingMark = ScalarClasses(rawValue: 1 << 7)
  /// Unicode 9's marks: StripAccents.
  static let mark = ScalarClasses(rawValue: 1 << 8)
  /// Carriage return and line feed.
  static let lineBreak = ScalarClasses(rawValue: 1 << 9)

  /// Classes of the basic multilingual plane, by code point.
  static let basicPlane: [UInt16] = (0..<0x10000).map { code in
    Unicode.Scalar(UInt32(code)).map { computed($0).rawValue } ?? 0
  }

  /// The classes of a scalar's code point.
  static func of(_ code: UInt32) -> ScalarClasses {
    if code < 0x10000 { return ScalarClasses(rawValue: basicPlane[Int(code)]) }
    return Unicode.Scalar(code).map(computed) ?? []
  }

  private static func computed(_ scalar: Unicode.Scalar) -> ScalarClasses {
    let properties = scalar.properties
    let category = properties.generalCategory
    let age = properties.age.map { $0.major } ?? Int.max
    var result: ScalarClasses = []
    if properties.isWhitespace { result.insert(.space) }
    if scalar == "\r" || scalar == "\n" { result.insert(.lineBreak) }
    if age <= 16 {
      if letters.contains(category) { result.insert(.letter) }
      if numbers.contains(category) { result.insert(.number) }
      if properties.isAlphabetic || marks.contains(category) || category == .decimalNumber
        || category == .connectorPunctuation || properties.isJoinControl
      {
        result.insert(.word)
      }
    }
    if numbers.contains(category) { result.insert(.numeric) }
    if age <= 9, marks.contains(category) { result.insert(.mark) }
    if age <= 8 {
      if punctuations.contains(category) { result.insert(.punctuation) }
      if others.contains(category) { result.insert(.other) }
      if category == .nonspacingMark { result.insert(.nonspacingMark) }
    }
    if scalar.isASCII, asciiSymbols.contains(category) { result.insert(.punctuation) }
    return corrected(result, scalar.value)
  }

  /// Undoes the category changes that came after the package's tables.
  private static func corrected(_ classes: ScalarClasses, _ code: UInt32) -> ScalarClasses {
    var classes = classes
    switch code {
    case 0x166D: classes.insert(.punctuation)
    case 0x1734, 0x1171E: classes.insert(.nonspacingMark)
    case 0x1885, 0x1886, 0xA9BD: classes.remove(.nonspacingMark)
    case 0x1CF2, 0x1CF3: classes.insert(.mark)
    case 0x111C9:
      classes.insert(.punctuation)
      classes.subtract([.nonspacingMark, .mark])
    default: break
    }
    return classes
  }

  private static let letters: Set<Unicode.GeneralCategory> = [
    .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
  ]
  private static let numbers: Set<Unicode.GeneralCategory> = [
    .decimalNumber, .letterNumber, .otherNumber,
  ]
  private static let marks: Set<Unicode.GeneralCategory> = [
    .nonspacingMark, .spacingMark, .enclosingMark,
  ]
  private static let punctuations: Set<Unicode.GeneralCategory> = [
    .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
    .initialPunctuation, .finalPunctuation, .otherPunctuation,
  ]
  private static let asciiSymbols: Set<Unicode.GeneralCategory> = [
    .mathSymbol, .currencySymbol, .modifierSymbol,
  ]
  private static let others: Set<Unicode.GeneralCategory> = [.control, .format, .privateUse]
}
