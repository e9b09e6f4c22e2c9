import Testing

@testable import Text

@Suite("Decoding one token at a time")
struct DecodingTests {
  @Test("what streams out, joined, is what decoding all gives", arguments: Golden.names)
  func streaming(name: String) throws {
    let tokenizer = try Golden.tokenizer(name)
    for text in try Golden.texts().short {
      let ids = try tokenizer.encode(text, addSpecialTokens: true)
      var decoder = StreamingDecoder(tokenizer)
      var streamed: [UInt8] = []
      for id in ids { streamed += decoder.append(id).utf8 }
      streamed += decoder.finish().utf8
      #expect(streamed == Array(tokenizer.decode(ids).utf8), "\(name), \(text.debugDescription)")
    }
  }

  @Test("an unfinished character is held back, and shown as U+FFFD at the end")
  func heldBack() throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let ids = try tokenizer.encode("\u{1F600}")
    #expect(ids.count > 1)
    var decoder = StreamingDecoder(tokenizer)
    for id in ids.dropLast() { #expect(decoder.append(id) == "") }
    var whole = decoder
    #expect(whole.append(try #require(ids.last)) == "\u{1F600}")
    #expect(whole.finish() == "")
    #expect(decoder.finish().unicodeScalars.allSatisfy { $0 == "\u{FFFD}" })
  }
}
