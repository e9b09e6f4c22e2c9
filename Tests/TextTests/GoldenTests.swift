import JSONText
import Testing

@testable import Text

@Suite("Tokenizers give the ids of the `tokenizers` package")
struct GoldenTests {
  @Test(
    "on short texts, with and without special tokens, and back to text", arguments: Golden.names)
  func shortTexts(name: String) throws {
    let texts = try Golden.texts().short
    let golden = try Golden.json("\(name).golden.json")
    let cases = try #require(golden["cases"]?.array)
    #expect(cases.count == texts.count)
    for route in [Tokenizer.Route.fast, .reference] {
      let tokenizer = try Golden.tokenizer(name, route)
      #expect(tokenizer.vocabularySize == golden["size"]?.int)
      for (text, expected) in zip(texts, cases) {
        let ids = try #require(expected["ids"]?.ids)
        let found = try tokenizer.encode(text)
        #expect(found == ids, "\(name), \(text.debugDescription)")
        #expect(
          try tokenizer.encode(text, addSpecialTokens: true) == expected["special"]?.ids ?? ids)
        let decoded = try #require(expected["decoded"]?.string)
        // Compared as bytes: `String` would take canonical equivalents for equal.
        #expect(Array(tokenizer.decode(ids).utf8) == Array(decoded.utf8))
        let kept = tokenizer.decode(ids, skipSpecialTokens: false)
        #expect(Array(kept.utf8) == Array((expected["kept"]?.string ?? decoded).utf8))
        #expect(
          try tokenizer.encodeLimited(text)
            == expected["limited"]?.ids ?? expected["special"]?.ids ?? ids)
      }
    }
  }

  @Test("on every character that Unicode 14 assigns", arguments: Golden.names)
  func everyBlock(name: String) throws {
    let tokenizer = try Golden.tokenizer(name)
    let blocks = try Golden.texts().blocks
    let expected = try #require(try Golden.json("\(name).golden.json")["blocks"]?.array)
    #expect(blocks.count == expected.count)
    for (block, golden) in zip(blocks, expected) {
      #expect(block.block == golden[0]?.int)
      let row = Golden.hash(try tokenizer.encode(block.row))
      let mixed = Golden.hash(try tokenizer.encode(block.mixed))
      #expect(row == golden[1]?.string, "\(name), block \(String(block.block, radix: 16))")
      #expect(mixed == golden[2]?.string, "\(name), mixed \(String(block.block, radix: 16))")
    }
  }

  @Test("on long runs, 100,000 characters without a space among them", arguments: Golden.names)
  func longRuns(name: String) throws {
    let tokenizer = try Golden.tokenizer(name)
    let expected = try #require(try Golden.json("\(name).golden.json")["long"]?.array)
    for ((unit, times), golden) in zip(try Golden.texts().long, expected) {
      let ids = try tokenizer.encode(String(repeating: unit, count: times))
      #expect(ids.count == golden[0]?.int, "\(name), \(unit.debugDescription)")
      #expect(Golden.hash(ids) == golden[1]?.string, "\(name), \(unit.debugDescription)")
    }
  }
}
