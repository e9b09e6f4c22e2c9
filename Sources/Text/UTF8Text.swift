/// UTF-8 bytes that were checked once at the door; everything after it may rely on that.
typealias TextBytes = UnsafeBufferPointer<UInt8>

/// Reading scalars from checked UTF-8, and the check itself.
enum UTF8Text {
  /// The scalar that starts at a position of valid UTF-8, and its length in bytes.
  @inline(__always)
  static func scalar(_ bytes: TextBytes, _ position: Int) -> (code: UInt32, length: Int) {
    let first = UInt32(bytes[position])
    if first < 0x80 { return (first, 1) }
    let second = UInt32(bytes[position + 1] & 0x3F)
    if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
    let third = UInt32(bytes[position + 2] & 0x3F)
    if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
    let fourth = UInt32(bytes[position + 3] & 0x3F)
    return ((first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4)
  }

  /// The scalar that ends before a position of valid UTF-8, and its length in bytes.
  static func scalar(
    _ bytes: TextBytes, before position: Int
  ) -> (code: UInt32, length: Int) {
    var start = position - 1
    while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return scalar(bytes, start)
  }

  /// The number of bytes of the scalar that a lead byte starts.
  @inline(__always)
  static func length(lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
  }

  /// Calls the closure with each scalar's code point and byte range.
  @inline(__always)
  static func forEachScalar(
    _ bytes: ArraySlice<UInt8>, _ body: (UInt32, Range<Int>) -> Void
  ) {
    bytes.withUnsafeBufferPointer { view in
      var position = 0
      while position < view.count {
        let (code, length) = scalar(view, position)
        let start = bytes.startIndex + position
        body(code, start..<start + length)
        position += length
      }
    }
  }

  /// Appends a scalar's UTF-8 form.
  static func append(_ code: UInt32, to bytes: inout [UInt8]) {
    if code < 0x80 {
      bytes.append(UInt8(code))
    } else if code < 0x800 {
      bytes.append(UInt8(0xC0 | code >> 6))
      bytes.append(UInt8(0x80 | code & 0x3F))
    } else if code < 0x10000 {
      bytes.append(UInt8(0xE0 | code >> 12))
      bytes.append(UInt8(0x80 | code >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | code & 0x3F))
    } else {
      bytes.append(UInt8(0xF0 | code >> 18))
      bytes.append(UInt8(0x80 | code >> 12 & 0x3F))
      bytes.append(UInt8(0x80 | code >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | code & 0x3F))
    }
  }

  /// The offset of the first byte that is not UTF-8 (RFC 3629); nil when all of it is.
  static func firstInvalid(_ bytes: TextBytes) -> Int? {
    var position = 0
    while position < bytes.count {
      let lead = bytes[position]
      if lead < 0x80 {
        position += 1
        continue
      }
      guard let length = checkedLength(bytes, position) else { return position }
      position += length
    }
    return nil
  }

  /// The length of the well-formed multi-byte scalar at a position; nil when it is ill-formed.
  private static func checkedLength(_ bytes: TextBytes, _ position: Int) -> Int? {
    let lead = bytes[position]
    let length: Int
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF: length = 3
    case 0xF0...0xF4: length = 4
    default: return nil
    }
    guard position + length <= bytes.count else { return nil }
    // The second byte's bounds exclude overlong forms, surrogates and what lies past U+10FFFF.
    let bounds: ClosedRange<UInt8> =
      switch lead {
      case 0xE0: 0xA0...0xBF
      case 0xED: 0x80...0x9F
      case 0xF0: 0x90...0xBF
      case 0xF4: 0x80...0x8F
      default: 0x80...0xBF
      }
    guard bounds.contains(bytes[position + 1]) else { return nil }
    for offset in 2..<max(length, 2) where bytes[position + offset] & 0xC0 != 0x80 { return nil }
    return length
  }
}
