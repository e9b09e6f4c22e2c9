/// A strict parser of RFC 8259 that refuses duplicate keys and deep nesting.
public struct JSONParser {
  /// Deeper documents are refused before the stack is at risk.
  public static let maximumDepth = 256

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// The one document that the bytes hold.
  ///
  /// - Throws: `JSONError` with the byte offset of the first thing that is wrong.
  public static func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes.assumingMemoryBound(to: UInt8.self))
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw .trailingBytes(offset: parser.position) }
    return value
  }

  /// The one document that a text holds.
  public static func parse(_ text: String) throws(JSONError) -> JSONValue {
    try parse(Array(text.utf8))
  }

  /// The one document that the bytes hold.
  public static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(JSONError) in try parse(buffer) }
    }
    return try result.get()
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  private func peek() throws(JSONError) -> UInt8 {
    guard position < bytes.count else { throw .unexpectedEnd(offset: position) }
    return bytes[position]
  }

  private mutating func expect(_ byte: UInt8, _ expected: String) throws(JSONError) {
    let found = try peek()
    guard found == byte else {
      throw .unexpectedByte(found, offset: position, expected: expected)
    }
    position += 1
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < Self.maximumDepth else { throw .nestedTooDeeply(offset: position) }
    skipSpace()
    switch try peek() {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case let byte: throw .unexpectedByte(byte, offset: position, expected: "a value")
    }
  }

  private mutating func literal(
    _ text: StaticString, _ value: JSONValue
  ) throws(JSONError) -> JSONValue {
    for offset in 0..<text.utf8CodeUnitCount {
      try expect(text.utf8Start[offset], "'\(text)'")
    }
    return value
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
    position += 1
    var result = JSONObject()
    skipSpace()
    if try peek() == UInt8(ascii: "}") {
      position += 1
      return result
    }
    while true {
      skipSpace()
      let start = position
      guard try peek() == UInt8(ascii: "\"") else {
        throw .unexpectedByte(bytes[position], offset: position, expected: "a key")
      }
      let key = try string()
      guard result[key] == nil else { throw .duplicateKey(key, offset: start) }
      skipSpace()
      try expect(UInt8(ascii: ":"), "':'")
      result[key] = try value(depth: depth + 1)
      skipSpace()
      if try peek() == UInt8(ascii: "}") {
        position += 1
        return result
      }
      try expect(UInt8(ascii: ","), "',' or '}'")
    }
  }

  private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
    position += 1
    var result: [JSONValue] = []
    skipSpace()
    if try peek() == UInt8(ascii: "]") {
      position += 1
      return result
    }
    while true {
      result.append(try value(depth: depth + 1))
      skipSpace()
      if try peek() == UInt8(ascii: "]") {
        position += 1
        return result
      }
      try expect(UInt8(ascii: ","), "',' or ']'")
    }
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    func digits(_ parser: inout JSONParser) throws(JSONError) {
      let first = parser.position
      while parser.position < parser.bytes.count,
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(parser.bytes[parser.position])
      {
        parser.position += 1
      }
      guard parser.position > first else { throw .invalidNumber(offset: start) }
    }
    if bytes[position] == UInt8(ascii: "-") { position += 1 }
    let leading = position
    try digits(&self)
    if bytes[leading] == UInt8(ascii: "0"), position > leading + 1 {
      throw .invalidNumber(offset: start)
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits(&self)
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < bytes.count,
        bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-")
      {
        position += 1
      }
      try digits(&self)
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    while position < bytes.count, bytes[position] != UInt8(ascii: "\""),
      bytes[position] != UInt8(ascii: "\\"), bytes[position] >= 0x20
    {
      position += 1
    }
    if try peek() == UInt8(ascii: "\"") {
      defer { position += 1 }
      return try decoded(UnsafeBufferPointer(rebasing: bytes[start..<position]), at: start)
    }
    return try stringWithEscapes(from: start)
  }

  private mutating func stringWithEscapes(from start: Int) throws(JSONError) -> String {
    var buffer = Array(bytes[start..<position])
    while true {
      let byte = try peek()
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        let result = buffer.withUnsafeBufferPointer { view in
          Result { () throws(JSONError) in try decoded(view, at: start) }
        }
        return try result.get()
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &buffer)
      case 0..<0x20:
        throw .unexpectedByte(byte, offset: position, expected: "an escaped control character")
      default:
        buffer.append(byte)
        position += 1
      }
    }
  }

  private func decoded(
    _ view: UnsafeBufferPointer<UInt8>, at start: Int
  ) throws(JSONError) -> String {
    guard let text = String(validating: view, as: UTF8.self) else {
      throw .invalidUTF8(offset: start)
    }
    return text
  }

  private mutating func escape(into buffer: inout [UInt8]) throws(JSONError) {
    let byte = try peek()
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
    case UInt8(ascii: "b"): buffer.append(0x08)
    case UInt8(ascii: "f"): buffer.append(0x0C)
    case UInt8(ascii: "n"): buffer.append(0x0A)
    case UInt8(ascii: "r"): buffer.append(0x0D)
    case UInt8(ascii: "t"): buffer.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      // A surrogate that has no partner becomes U+FFFD, as other readers do.
      if code & 0xFC00 == 0xD800, position + 1 < bytes.count,
        bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
      {
        let mark = position
        position += 2
        let low = try hexadecimal()
        if low & 0xFC00 == 0xDC00 {
          code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
        } else {
          position = mark
        }
      }
      let scalar = Unicode.Scalar(code) ?? Unicode.Scalar(0xFFFD as UInt16) ?? " "
      buffer.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw .invalidEscape(offset: position - 1)
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      let byte = try peek()
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw .invalidEscape(offset: position)
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
