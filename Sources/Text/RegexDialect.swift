/// From the dialect of tokenizer files (Oniguruma's, in UTF-8) to PCRE2's.
///
/// The two read most patterns alike. Where they would silently differ, the class is spelled out:
/// PCRE2's `\s` takes in U+180E, and its `\w` leaves out marks. Where that is impossible the
/// pattern is refused rather than read wrongly.
enum RegexDialect {
  private static let space =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    + "\\x{205f}\\x{3000}"
  /// Oniguruma counts six Latin-1 number signs as word characters, and no join controls.
  private static let word =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

  /// The pattern as PCRE2 has to read it.
  static func translated(_ pattern: String, path: String) throws(TextError) -> String {
    func refuse(_ what: String) -> TextError {
      .badPattern(path: path, pattern: pattern, reason: what)
    }
    let scalars = Array(pattern.unicodeScalars)
    var result = String.UnicodeScalarView()
    var position = 0
    var inClass = false
    var classStart = 0
    while position < scalars.count {
      let scalar = scalars[position]
      let next = position + 1 < scalars.count ? scalars[position + 1] : nil
      if scalar == "\\", let next {
        position += 2
        if next == "u" {
          result.append(contentsOf: try codePoint(scalars, &position, refuse))
          continue
        }
        result.append(contentsOf: try escape(next, inClass: inClass, refuse))
        // The braces of \p{…} and \x{…} are none of a quantifier's.
        if position < scalars.count, scalars[position] == "{", "pPx".unicodeScalars.contains(next),
          let end = scalars[position...].firstIndex(of: "}")
        {
          result.append(contentsOf: scalars[position...end])
          position = end + 1
        }
        continue
      }
      if inClass {
        if scalar == "[", next != ":" { throw refuse("a class within a class is not supported") }
        if scalar == "&", next == "&" { throw refuse("class intersections are not supported") }
        if scalar == "[", let end = posixEnd(scalars, position) {
          result.append(contentsOf: scalars[position..<end])
          position = end
          continue
        }
        if scalar == "]", position > classStart { inClass = false }
      } else if scalar == "[" {
        inClass = true
        classStart = position + (next == "^" ? 2 : 1)
      } else if scalar == "}", next == "+" {
        throw refuse("'}+' means two different things in two dialects; write (?>...) instead")
      } else if scalar == "(", next == "?", setsMultiline(scalars, position + 2) {
        throw refuse("the inline flag 'm' is not supported")
      }
      result.append(scalar)
      position += 1
    }
    return String(result)
  }

  private static func escape(
    _ letter: Unicode.Scalar, inClass: Bool, _ refuse: (String) -> TextError
  ) throws(TextError) -> String.UnicodeScalarView {
    let text: String
    switch letter {
    case "s": text = inClass ? space : "[\(space)]"
    case "S": text = inClass ? "\\S" : "[^\(space)]"
    case "w": text = inClass ? word : "[\(word)]"
    case "W":
      if inClass { throw refuse("\\W within a class is not supported") }
      text = "[^\(word)]"
    case "h", "H": throw refuse("\\h is not supported; write [0-9a-fA-F]")
    default: text = "\\" + String(letter)
    }
    return text.unicodeScalars
  }

  /// PCRE2's form of the four digits after `\\u`.
  private static func codePoint(
    _ scalars: [Unicode.Scalar], _ position: inout Int, _ refuse: (String) -> TextError
  ) throws(TextError) -> String.UnicodeScalarView {
    let digits = scalars[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy(\.properties.isASCIIHexDigit) else {
      throw refuse("\\u needs four hexadecimal digits")
    }
    position += 4
    return ("\\x{" + String(String.UnicodeScalarView(digits)) + "}").unicodeScalars
  }

  /// The end of `[:name:]` that starts at a position.
  private static func posixEnd(_ scalars: [Unicode.Scalar], _ start: Int) -> Int? {
    var position = start + 2
    while position + 1 < scalars.count {
      if scalars[position] == ":", scalars[position + 1] == "]" { return position + 2 }
      position += 1
    }
    return nil
  }

  private static func setsMultiline(_ scalars: [Unicode.Scalar], _ start: Int) -> Bool {
    for scalar in scalars[min(start, scalars.count)...] {
      if scalar == "m" { return true }
      guard scalar == "i" || scalar == "x" || scalar == "s" || scalar == "-" else { return false }
    }
    return false
  }
}
