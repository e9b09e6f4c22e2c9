/// GPT-2's alphabet: a printable character for each byte, so that vocabularies are text.
enum ByteAlphabet {
  /// The code point that stands for each byte.
  static let codes: [UInt32] = {
    let printable = [0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF]
    var result: [UInt32] = []
    var next: UInt32 = 0x100
    for byte in 0..<256 {
      if printable.contains(where: { $0.contains(byte) }) {
        result.append(UInt32(byte))
      } else {
        result.append(next)
        next += 1
      }
    }
    return result
  }()

  /// The byte that a code point stands for.
  static let bytes: [UInt32: UInt8] = Dictionary(
    uniqueKeysWithValues: codes.enumerated().map { ($1, UInt8($0)) })

  /// The text with every byte written as its character.
  static func mapped(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    for byte in text { UTF8Text.append(codes[Int(byte)], to: &result) }
    return result
  }

  /// The bytes that a token's characters stand for; nil when one stands for none.
  static func unmapped(_ token: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in token.unicodeScalars {
      guard let byte = bytes[scalar.value] else { return nil }
      result.append(byte)
    }
    return result
  }
}
