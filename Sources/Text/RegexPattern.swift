import CPCRE2

/// A compiled pattern of a tokenizer, matched by PCRE2 with Unicode classes and its compiler on.
///
/// The code is immutable once compiled; every search has its own match data.
final class RegexPattern: @unchecked Sendable {
  /// The pattern as the file has it.
  let source: String
  private let code: OpaquePointer

  /// Steps of one search before it gives up; a search of a usual pattern needs far fewer.
  private static let matchLimit: UInt32 = 50_000_000
  private static let largestStack = 16 << 20

  /// Compiles a pattern in the dialect of tokenizer files.
  ///
  /// - Throws: `TextError.badPattern` naming the file.
  init(_ source: String, path: String) throws(TextError) {
    let translated = try RegexDialect.translated(source, path: path)
    var errorCode: Int32 = 0
    var errorOffset = 0
    let context = pcre2_compile_context_create_8(nil)
    defer { pcre2_compile_context_free_8(context) }
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    let options = UInt32(PCRE2_UTF) | UInt32(PCRE2_UCP) | UInt32(PCRE2_MULTILINE)
    let pattern = Array(translated.utf8)
    guard
      let code = pcre2_compile_8(
        pattern, pattern.count, options, &errorCode, &errorOffset, context)
    else {
      throw .badPattern(
        path: path, pattern: source,
        reason: Self.message(errorCode) + " near byte \(errorOffset) of its PCRE2 form")
    }
    // Without a compiler for this processor PCRE2 interprets the pattern: slower, same matches.
    pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE))
    self.source = source
    self.code = code
  }

  /// A pattern that matches a text literally.
  convenience init(literal: String, path: String) throws(TextError) {
    var escaped = ""
    for scalar in literal.unicodeScalars {
      if scalar.isASCII, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil,
        scalar.value > 0x20, scalar.value != 0x7F
      {
        escaped += "\\"
      }
      escaped.unicodeScalars.append(scalar)
    }
    try self.init(escaped, path: path)
  }

  deinit { pcre2_code_free_8(code) }

  /// All matches in order, as byte ranges; the bytes must be valid UTF-8.
  ///
  /// - Throws: `TextError.patternGaveUp` when a search exceeds its limits.
  func matches(in text: TextBytes) throws(TextError) -> [Range<Int>] {
    guard let base = text.baseAddress, !text.isEmpty else { return [] }
    let data = pcre2_match_data_create_from_pattern_8(code, nil)
    let context = pcre2_match_context_create_8(nil)
    var stack: OpaquePointer?
    defer {
      pcre2_match_data_free_8(data)
      pcre2_match_context_free_8(context)
      pcre2_jit_stack_free_8(stack)
    }
    pcre2_set_match_limit_8(context, Self.matchLimit)
    var result: [Range<Int>] = []
    var position = 0
    while position <= text.count {
      let status = pcre2_match_8(
        code, base, text.count, position, UInt32(PCRE2_NO_UTF_CHECK), data, context)
      if status == PCRE2_ERROR_JIT_STACKLIMIT, stack == nil {
        // The 32 KiB that searches start with are plenty for most; the large stack costs a mapping.
        stack = pcre2_jit_stack_create_8(32 << 10, Self.largestStack, nil)
        pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
        continue
      }
      if status == PCRE2_ERROR_NOMATCH { break }
      guard status >= 0, let vector = pcre2_get_ovector_pointer_8(data) else {
        throw .patternGaveUp(pattern: source, offset: position, reason: Self.message(status))
      }
      let (start, end) = (Int(vector[0]), Int(vector[1]))
      guard start <= end, end <= text.count else { break }
      // Right after a match an empty one is no match: as in the engine that the files are for.
      if end > start || result.last?.upperBound != start { result.append(start..<end) }
      position = end > start ? end : end + (end < text.count ? UTF8Text.length(lead: text[end]) : 1)
    }
    return result
  }

  private static func message(_ code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
    return length > 0
      ? String(decoding: buffer.prefix(Int(length)), as: UTF8.self) : "error \(code)"
  }
}
