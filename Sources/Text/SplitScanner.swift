/// The split patterns of the usual byte-level tokenizers, as loops over character classes.
///
/// Each piece of these patterns begins where the last one ended, so one function that finds the
/// end of the next piece is the whole matcher. PCRE2 on the same pattern is the reference.
enum SplitScanner: Hashable, Sendable {
  /// The pattern of GPT-2.
  case gpt2
  /// The pattern of Llama 3 (runs of up to three digits) and Qwen 2 (single digits).
  case llama3(longestNumber: Int)

  /// GPT-2's pattern, which the pre-tokenizer ByteLevel has built in.
  static let gpt2Pattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Llama 3's pattern with its piece for numbers left open.
  private static func llama3Pattern(_ numbers: String) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + numbers
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }

  /// The scanner for a pattern; nil when the pattern is none of the usual ones.
  init?(pattern: String) {
    switch pattern {
    case Self.gpt2Pattern: self = .gpt2
    case Self.llama3Pattern(#"\p{N}{1,3}"#): self = .llama3(longestNumber: 3)
    case Self.llama3Pattern(#"\p{N}"#): self = .llama3(longestNumber: 1)
    default: return nil
    }
  }

  /// The end of the piece that starts at a position before the text's end.
  @inline(__always)
  func pieceEnd(_ text: TextBytes, _ start: Int, _ classes: UnsafePointer<UInt16>) -> Int {
    let cursor = Cursor(text: text, classes: classes)
    switch self {
    case .gpt2: return cursor.gpt2(start)
    case .llama3(let longest): return cursor.llama3(start, longestNumber: longest)
    }
  }

  private struct Cursor {
    let text: TextBytes
    let classes: UnsafePointer<UInt16>

    @inline(__always)
    func classAt(_ position: Int) -> (classes: ScalarClasses, length: Int) {
      let first = text[position]
      if first < 0x80 { return (ScalarClasses(rawValue: classes[Int(first)]), 1) }
      let (code, length) = UTF8Text.scalar(text, position)
      if code < 0x10000 { return (ScalarClasses(rawValue: classes[Int(code)]), length) }
      return (.of(code), length)
    }

    /// The end of the run of scalars of some classes from a position on.
    @inline(__always)
    func run(_ wanted: ScalarClasses, _ start: Int) -> Int {
      var position = start
      while position < text.count {
        let (found, length) = classAt(position)
        if found.isDisjoint(with: wanted) { break }
        position += length
      }
      return position
    }

    /// The end of the run of scalars that are no space, letter or number.
    @inline(__always)
    func runOfOthers(_ start: Int) -> Int {
      var position = start
      while position < text.count {
        let (found, length) = classAt(position)
        if !found.isDisjoint(with: [.space, .letter, .number]) { break }
        position += length
      }
      return position
    }

    func gpt2(_ start: Int) -> Int {
      if text[start] == UInt8(ascii: "'"), let end = contraction(start, anyCase: false) {
        return end
      }
      var body = start
      if text[start] == UInt8(ascii: " "), start + 1 < text.count { body = start + 1 }
      let (found, length) = classAt(body)
      if found.contains(.letter) { return run(.letter, body + length) }
      if found.contains(.number) { return run(.number, body + length) }
      if !found.contains(.space) { return runOfOthers(body + length) }
      return whitespace(start)
    }

    func llama3(_ start: Int, longestNumber: Int) -> Int {
      if text[start] == UInt8(ascii: "'"), let end = contraction(start, anyCase: true) {
        return end
      }
      let (found, length) = classAt(start)
      if found.contains(.letter) { return run(.letter, start + length) }
      if found.contains(.number) { return number(start, longestNumber) }
      let next = start + length
      if !found.contains(.lineBreak), next < text.count, classAt(next).classes.contains(.letter) {
        return run(.letter, next)
      }
      var body = start
      if text[start] == UInt8(ascii: " ") { body = next }
      let end = runOfOthers(body)
      if end > body { return run(.lineBreak, end) }
      return whitespaceOrLines(start)
    }

    private func number(_ start: Int, _ longest: Int) -> Int {
      var position = start
      var count = 0
      while position < text.count, count < longest {
        let (found, length) = classAt(position)
        if !found.contains(.number) { break }
        position += length
        count += 1
      }
      return position
    }

    /// Spaces up to and with the last line break among them; without one, as `whitespace`.
    private func whitespaceOrLines(_ start: Int) -> Int {
      let end = run(.space, start)
      var position = end
      while position > start {
        if text[position - 1] == 0x0A || text[position - 1] == 0x0D { return position }
        position -= 1
      }
      return whitespace(start, end: end)
    }

    private func whitespace(_ start: Int) -> Int { whitespace(start, end: run(.space, start)) }

    /// A run of spaces leaves its last one to the piece after it, unless it is the only one.
    private func whitespace(_ start: Int, end: Int) -> Int {
      if end == text.count { return end }
      let last = UTF8Text.scalar(text, before: end).length
      return end - last > start ? end - last : end
    }

    private func contraction(_ start: Int, anyCase: Bool) -> Int? {
      func byte(_ offset: Int) -> UInt8 {
        guard start + offset < text.count else { return 0 }
        let byte = text[start + offset]
        return anyCase && byte < 0x80 && byte >= 0x41 ? byte | 0x20 : byte
      }
      switch byte(1) {
      case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
        return start + 2
      case UInt8(ascii: "r"), UInt8(ascii: "v"):
        return byte(2) == UInt8(ascii: "e") ? start + 3 : nil
      case UInt8(ascii: "l"): return byte(2) == UInt8(ascii: "l") ? start + 3 : nil
      // The long s, U+017F, is an s when case does not count.
      case 0xC5: return anyCase && byte(2) == 0xBF ? start + 3 : nil
      default: return nil
      }
    }
  }
}
