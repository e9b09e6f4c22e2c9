import JSONText
import Testing

@Suite("JSON parser")
struct JSONParserTests {
  @Test("Values of every kind, with space around them")
  func values() throws {
    let document = try JSONParser.parse(
      " {\"a\" : [1, -2.5e+3, true, false, null, \"x\"],\n\t\"b\":{}, \"c\":[]\r} ")
    #expect(document.object?.keys == ["a", "b", "c"])
    #expect(document["a"]?[0]?.int == 1)
    #expect(document["a"]?[1]?.double == -2500)
    #expect(document["a"]?[1] == .number("-2.5e+3"))
    #expect(document["a"]?[2]?.bool == true)
    #expect(document["a"]?[4]?.isNull == true)
    #expect(document["a"]?[5]?.string == "x")
    #expect(document["a"]?[6] == nil && document["d"] == nil && document[0] == nil)
    #expect(document["b"]?.object?.members.isEmpty == true)
    #expect(document["c"]?.array == [])
    #expect(try JSONParser.parse("7").int == 7)
  }

  @Test(
    "Numbers that RFC 8259 allows",
    arguments: ["0", "-0", "10", "0.5", "-1.25", "1e9", "1E-9", "1e+9", "123456789012345678901234"])
  func numbers(_ text: String) throws { #expect(try JSONParser.parse(text) == .number(text)) }

  @Test(
    "Numbers that it does not",
    arguments: [
      "01", "-", "-a", "1.", ".5", "+1", "1e", "1e+", "0x10", "1.e3", "--1", "NaN", "Infinity",
      "-Infinity", "00", "1_000",
    ])
  func wrongNumbers(_ text: String) {
    #expect(throws: JSONError.self) { try JSONParser.parse(text) }
  }

  @Test("Integers: large ones keep every digit, others are nil rather than wrong")
  func integers() throws {
    #expect(try JSONParser.parse("9223372036854775807").int == .max)
    #expect(try JSONParser.parse("-9223372036854775808").int == .min)
    #expect(try JSONParser.parse("9223372036854775808").int == nil)
    #expect(try JSONParser.parse("9007199254740993").int == 9_007_199_254_740_993)
    #expect(try JSONParser.parse("9007199254740993.0").int == nil)
    #expect(try JSONParser.parse("90071992547409930.0").int == nil)
    #expect(try JSONParser.parse("2e3").int == 2000)
    #expect(try JSONParser.parse("1.5").int == nil)
    #expect(try JSONParser.parse("1e999").int == nil)
  }

  @Test("Structures that are cut off or malformed are errors with their offset")
  func structure() {
    func error(_ text: String) -> JSONError? {
      do {
        _ = try JSONParser.parse(text)
        return nil
      } catch { return error }
    }
    #expect(error("") == .unexpectedEnd(offset: 0))
    #expect(error("  ") == .unexpectedEnd(offset: 2))
    #expect(error("[1,") == .unexpectedEnd(offset: 3))
    #expect(error("{\"a\"") == .unexpectedEnd(offset: 4))
    #expect(error("\"abc") == .unexpectedEnd(offset: 4))
    #expect(error("\"\\") == .unexpectedEnd(offset: 2))
    #expect(error("\"\\u12") == .unexpectedEnd(offset: 5))
    #expect(error("tru") == .unexpectedEnd(offset: 3))
    #expect(error("[1,]") == .unexpectedByte(0x5D, offset: 3, expected: "a value"))
    #expect(error("{\"a\":1,}") == .unexpectedByte(0x7D, offset: 7, expected: "a key"))
    #expect(error("{a:1}") == .unexpectedByte(0x61, offset: 1, expected: "a key"))
    #expect(error("{\"a\" 1}") == .unexpectedByte(0x31, offset: 5, expected: "':'"))
    #expect(error("[1 2]") == .unexpectedByte(0x32, offset: 3, expected: "',' or ']'"))
    #expect(error("nul!") == .unexpectedByte(0x21, offset: 3, expected: "'null'"))
    #expect(error("{} x") == .trailingBytes(offset: 3))
    #expect(error("1 1") == .trailingBytes(offset: 2))
    #expect(error("// no\n1") == .unexpectedByte(0x2F, offset: 0, expected: "a value"))
    #expect(error("\u{FEFF}1") == .unexpectedByte(0xEF, offset: 0, expected: "a value"))
    #expect(error("1\0") == .trailingBytes(offset: 1))
  }

  @Test("A key given twice is refused wherever it stands, written plainly or escaped")
  func duplicates() {
    #expect(throws: JSONError.duplicateKey("a", offset: 7)) {
      try JSONParser.parse("{\"a\":1,\"a\":2}")
    }
    #expect(throws: JSONError.duplicateKey("a", offset: 18)) {
      try JSONParser.parse("{\"b\":{\"a\":1,\"c\":2,\"\\u0061\":3}}")
    }
    #expect(throws: JSONError.self) { try JSONParser.parse("{\"\":1,\"\":1}") }
  }

  @Test("Keys that only look alike are different keys")
  func lookalikes() throws {
    let composed = "\u{E9}"
    let decomposed = "e\u{301}"
    let document = try JSONParser.parse(
      "{\"\(composed)\":1,\"\(decomposed)\":2,\"\u{212B}\":3,\"\u{C5}\":4}")
    #expect(document.object?.members.count == 4)
    #expect(document[composed]?.int == 1 && document[decomposed]?.int == 2)
    #expect(document["\u{212B}"]?.int == 3 && document["\u{C5}"]?.int == 4)
  }

  @Test("Escapes, surrogate pairs and their halves")
  func escapes() throws {
    func text(_ json: String) throws -> String? { try JSONParser.parse("\"\(json)\"").string }
    #expect(try text("\\\"\\\\\\/\\b\\f\\n\\r\\t") == "\"\\/\u{8}\u{C}\n\r\t")
    #expect(try text("\\u0041\\u00e9\\u20AC") == "A\u{E9}\u{20AC}")
    #expect(try text("\\ud83d\\ude00") == "\u{1F600}")
    #expect(try text("\\uD834\\uDD1E!") == "\u{1D11E}!")
    #expect(try text("\\ud83d") == "\u{FFFD}")
    #expect(try text("\\ude00\\ud83d") == "\u{FFFD}\u{FFFD}")
    #expect(try text("\\ud83dx") == "\u{FFFD}x")
    #expect(try text("\\ud83d\\u0041") == "\u{FFFD}A")
    #expect(try text("\\ud83d\\ud83d\\ude00") == "\u{FFFD}\u{1F600}")
    #expect(try text("\\u0000") == "\0")
    for wrong in ["\\x41", "\\u12G4", "\\u", "\\ud83d\\uZZZZ", "\\a", "\\u+123", "\\ "] {
      #expect(throws: JSONError.self) { try text(wrong) }
    }
  }

  @Test("Control characters must be escaped, inside strings of either path")
  func controls() {
    for byte in UInt8(0)..<0x20 {
      for prefix in ["\"", "\"\\n"] {
        let bytes = Array(prefix.utf8) + [byte, UInt8(ascii: "\"")]
        #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
      }
    }
    #expect(throws: Never.self) { try JSONParser.parse("\"\u{7F}\u{2028}\"") }
  }

  @Test(
    "Bytes that are not UTF-8 are refused, with and without escapes",
    arguments: [
      [0xFF], [0x80], [0xC0, 0xAF], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
      [0xC3, 0x28],
    ] as [[UInt8]])
  func invalidUTF8(_ wrong: [UInt8]) {
    for prefix in ["\"", "\"\\t", "{\""] {
      let bytes = Array(prefix.utf8) + wrong + Array("\"".utf8)
      #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
    }
  }

  @Test("Depth: 256 levels are read, more are refused without exhausting the stack")
  func depth() {
    func nested(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    #expect(throws: Never.self) { try JSONParser.parse(nested(JSONParser.maximumDepth)) }
    #expect(throws: JSONError.nestedTooDeeply(offset: 256)) { try JSONParser.parse(nested(257)) }
    #expect(throws: JSONError.nestedTooDeeply(offset: 256)) {
      try JSONParser.parse(String(repeating: "[", count: 1_000_000))
    }
    let objects = String(repeating: "{\"a\":", count: 300)
    #expect(throws: JSONError.self) { try JSONParser.parse(objects) }
  }

  @Test("Every cut of a document is an error, never a crash")
  func truncation() {
    let text = "{\"k\\u00e9\":[1.5e-3,\"\\ud83d\\ude00\",{\"x\":null}],\"z\":true}"
    let bytes = Array(text.utf8)
    for count in 0..<bytes.count {
      #expect(throws: JSONError.self) { try JSONParser.parse(Array(bytes[..<count])) }
    }
    // Every single byte replaced by every other one: an error or a value, nothing else.
    for position in bytes.indices {
      for byte in UInt8.min...UInt8.max {
        var changed = bytes
        changed[position] = byte
        _ = try? JSONParser.parse(changed)
      }
    }
  }

  @Test("Errors say the offset and what was expected")
  func sentences() {
    let error = JSONError.unexpectedByte(0x5D, offset: 3, expected: "a value")
    #expect("\(error)" == "byte 3 of the JSON text is ']' where a value was expected")
    #expect("\(JSONError.unexpectedByte(0xEF, offset: 0, expected: "a value"))".contains("0xef"))
    #expect("\(JSONError.duplicateKey("w", offset: 9))".contains("'w' twice"))
  }
}
