import CPCRE2

/// A Perl-compatible regular expression with limits on the work of a match.
final class RegularExpression: @unchecked Sendable {
  enum Outcome: Sendable, Hashable {
    case match
    case noMatch
    /// The limit on the work was reached first.
    case exhausted
  }

  static let maximumBytes = 4096
  /// Steps of backtracking; names are short, and an honest expression takes a few hundred.
  static let matchLimit: UInt32 = 20_000
  private static let heapLimitKiB: UInt32 = 16_384

  // Both are written once, here, and only read by matches, which PCRE2 allows from any thread.
  private let code: OpaquePointer
  private let context: OpaquePointer

  init(_ pattern: String) throws(SelectorError) {
    guard !pattern.isEmpty else { throw .empty }
    guard pattern.utf8.count <= Self.maximumBytes else {
      throw .tooLong(bytes: pattern.utf8.count, limit: Self.maximumBytes)
    }
    var problem: Int32 = 0
    var offset = 0
    let bytes = Array(pattern.utf8)
    guard
      let code = pcre2_compile_8(
        bytes, bytes.count, UInt32(PCRE2_UTF) | UInt32(PCRE2_NEVER_BACKSLASH_C), &problem, &offset,
        nil)
    else {
      let characters = String(decoding: bytes.prefix(offset), as: UTF8.self).unicodeScalars.count
      throw .expression(problem: Self.message(problem), offset: characters)
    }
    guard let context = pcre2_match_context_create_8(nil) else {
      pcre2_code_free_8(code)
      throw .expression(problem: "no memory is left", offset: 0)
    }
    pcre2_set_match_limit_8(context, Self.matchLimit)
    pcre2_set_depth_limit_8(context, Self.matchLimit)
    pcre2_set_heap_limit_8(context, Self.heapLimitKiB)
    self.code = code
    self.context = context
  }

  deinit {
    pcre2_match_context_free_8(context)
    pcre2_code_free_8(code)
  }

  /// Whether the expression is found in the name.
  func outcome(_ name: String) -> Outcome {
    guard let data = pcre2_match_data_create_8(1, nil) else { return .exhausted }
    defer { pcre2_match_data_free_8(data) }
    var name = name
    let result = name.withUTF8 { bytes -> Int32 in
      guard let start = bytes.baseAddress else {
        return pcre2_match_8(code, [0], 0, 0, 0, data, context)
      }
      return pcre2_match_8(code, start, bytes.count, 0, 0, data, context)
    }
    // 0 is a match with more groups than the one that there is room for.
    if result >= 0 { return .match }
    return result == PCRE2_ERROR_NOMATCH ? .noMatch : .exhausted
  }

  private static func message(_ code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = pcre2_get_error_message_8(code, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer.prefix(Int(count)), as: UTF8.self) : "error \(code)"
  }
}
