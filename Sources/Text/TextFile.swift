import Foundation

/// Plain text files: whole, by paragraph, and as one stream of tokens.
public enum TextFile {
  /// The bytes of a file.
  public static func bytes(_ path: String) throws(TextError) -> [UInt8] {
    do {
      return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw .cannotRead(path: path, reason: error.localizedDescription)
    }
  }

  /// The text of a file, a byte order mark left out.
  ///
  /// - Throws: `TextError.invalidUTF8` with the offset of the first bad byte.
  public static func contents(_ path: String) throws(TextError) -> String {
    var bytes = try bytes(path)
    if let offset = bytes.withUnsafeBufferPointer(UTF8Text.firstInvalid) {
      throw .invalidUTF8(source: path, offset: offset)
    }
    if bytes.starts(with: byteOrderMark) { bytes.removeFirst(byteOrderMark.count) }
    return String(decoding: bytes, as: UTF8.self)
  }

  static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// The lines that hold more than spaces, without their line ends (LF or CR LF).
  public static func paragraphs(_ path: String) throws(TextError) -> [String] {
    let text = try contents(path)
    let lines = text.utf8.split(separator: 0x0A).compactMap { line -> String? in
      let trimmed = line.last == 0x0D ? line.dropLast() : line
      let isBlank = trimmed.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
      return isBlank ? nil : String(Substring(trimmed))
    }
    guard !lines.isEmpty else { throw .emptyText(source: path) }
    return lines
  }

  /// The tokens of a whole file as one stream.
  ///
  /// The file is one text: line breaks and blank lines are tokens like others, and no special
  /// token is put in, neither at the start nor between paragraphs.
  public static func tokens(
    _ path: String, with tokenizer: Tokenizer
  ) throws(TextError) -> TokenStream {
    let text = try contents(path)
    guard !text.isEmpty else { throw .emptyText(source: path) }
    return TokenStream(unchecked: try tokenizer.encode(text), source: path)
  }
}
