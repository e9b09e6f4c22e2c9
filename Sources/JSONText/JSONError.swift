/// Why a text is not the JSON that was expected, with the byte offset where reading stopped.
public enum JSONError: Error, Hashable, Sendable {
  case unexpectedEnd(offset: Int)
  case unexpectedByte(UInt8, offset: Int, expected: String)
  case duplicateKey(String, offset: Int)
  case invalidNumber(offset: Int)
  case invalidEscape(offset: Int)
  case invalidUTF8(offset: Int)
  case nestedTooDeeply(offset: Int)
  case trailingBytes(offset: Int)
}

extension JSONError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unexpectedEnd(let offset): "the JSON text ends early, at byte \(offset)"
    case .unexpectedByte(let byte, let offset, let expected):
      "byte \(offset) of the JSON text is \(Self.shown(byte)) where \(expected) was expected"
    case .duplicateKey(let key, let offset):
      "the JSON object names '\(key)' twice (second time at byte \(offset))"
    case .invalidNumber(let offset): "byte \(offset) of the JSON text starts no valid number"
    case .invalidEscape(let offset): "byte \(offset) of the JSON text is in an invalid escape"
    case .invalidUTF8(let offset): "the JSON text is not UTF-8 near byte \(offset)"
    case .nestedTooDeeply(let offset):
      "the JSON text nests more than \(JSONParser.maximumDepth) levels deep at byte \(offset)"
    case .trailingBytes(let offset): "the JSON text has more bytes after its end, at byte \(offset)"
    }
  }

  private static func shown(_ byte: UInt8) -> String {
    byte >= 0x20 && byte < 0x7F
      ? "'\(Character(Unicode.Scalar(byte)))'" : "0x" + String(byte, radix: 16)
  }
}
