import Testing

@testable import Text

@Suite("Templates")
struct TemplateTests {
  private func message(_ template: String) -> String {
    do {
      _ = try Template(template)
      return "accepted"
    } catch {
      return error.description
    }
  }

  @Test("slots, options, escaped braces and what follows the options")
  func parts() throws {
    let template = try Template("{{{text}}} by {who}: It was{ terrible| great} ({who}).")
    #expect(template.fields == ["text", "who"])
    #expect(template.options == [" terrible", " great"])
    let record = try RecordTests.record(#"{"text":"A {film}","who":"me"}"#)
    let rendered = try template.render(record)
    #expect(rendered.prompt == "{A {film}} by me: It was")
    #expect(rendered.options == [" terrible (me).", " great (me)."])
    #expect(rendered.text(option: 1) == "{A {film}} by me: It was great (me).")
  }

  @Test("what is wrong with a template is said")
  func refused() {
    #expect(message("It was{ a| b}").contains("has no slot"))
    #expect(message("{text} It was good").contains("has no options"))
    #expect(message("{text}{a|b}{c|d}").contains("second option list at byte 11"))
    #expect(message("{text}{a|}").contains("an empty option"))
    #expect(message("{text}{a|b|a}").contains("has the option 'a' twice"))
    #expect(message("{text{a|b}").contains("unmatched brace at byte 0"))
    #expect(message("{text} a} {a|b}").contains("unmatched brace at byte 8"))
    #expect(message("{text}{a|b").contains("unmatched brace at byte 6"))
    #expect(message("{text} { } {a|b} {").contains("unmatched brace at byte 17"))
    #expect(message("{x}{ }{|b}").contains("empty option"))
    #expect(message("é{}{a|b}").contains("empty slot at byte 2"))
  }

  @Test("the option's tokens are those after what prompt and whole have in common")
  func boundary() throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let record = try RecordTests.record(#"{"text":"The dog","label":1}"#)
    // The space may be written on either side of the brace: the tokens are the same.
    let outside = try Template("{text} was {lazy|over}").items(record, with: tokenizer)
    let inside = try Template("{text} was{ lazy| over}").items(record, with: tokenizer)
    #expect(outside == inside)
    #expect(inside.label == 1)
    for (index, option) in [" lazy", " over"].enumerated() {
      #expect(tokenizer.decode(inside.option(index)) == option)
      #expect(inside.sequences[index] == (try tokenizer.encode("The dog was" + option)))
    }
    // Tokenized by itself, the prompt that ends in a space has one token more than they share.
    #expect(try tokenizer.encode("The dog was ").count == outside.optionStarts[0] + 1)
    let begun = try Template("{text} was{ lazy| over}").items(
      record, with: tokenizer, ScoringOptions(beginning: 5, labelField: nil))
    #expect(begun.sequences[0] == [5] + inside.sequences[0])
    #expect(begun.optionStarts[0] == inside.optionStarts[0] + 1)
    #expect(begun.label == nil)
  }

  @Test("an option that adds no token is refused")
  func noTokens() throws {
    let tokenizer = try Golden.tokenizer("whitespace")
    let record = try RecordTests.record(#"{"text":"the dog","label":0}"#)
    let template = try Template("{text}{ |x}")
    #expect(throws: TextError.optionWithoutTokens(template: template.source, option: " ")) {
      try template.items(record, with: tokenizer)
    }
  }

  @Test("a long text is cut to its first tokens, never within a character")
  func cut() throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let record = try RecordTests.record(#"{"id":"7","text":"one two 😀 three four","label":0}"#)
    let template = try Template("{id}: {text} was{ a| b}")
    let ids = try tokenizer.encode("one two 😀 three four")
    for maximum in 1...ids.count {
      let item = try template.items(
        record, with: tokenizer, ScoringOptions(maximumTextTokens: maximum, cutField: "text"))
      let whole = tokenizer.decode(ids.prefix(maximum))
      let kept = whole.replacingBytes("\u{FFFD}", with: "")
      #expect(tokenizer.decode(item.sequences[0]) == "7: \(kept) was a")
    }
    #expect(throws: TextError.self) {
      try template.items(record, with: tokenizer, ScoringOptions(maximumTextTokens: 0))
    }
  }

  @Test("labels must name an option")
  func labels() throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let template = try Template("{text}{ a| b}")
    for label in ["2", "-1", "0.5", "\"x\""] {
      let record = try RecordTests.record("{\"text\":\"t\",\"label\":\(label)}")
      #expect(throws: TextError.self) { try template.items(record, with: tokenizer) }
    }
  }

  @Test("examples are drawn without repeats, by seed and prompt")
  func examples() throws {
    let template = try Template("{text} was{ a| b}.")
    let records = try (0..<10).map {
      try RecordTests.record("{\"text\":\"t\($0)\",\"label\":\($0 % 2)}")
    }
    let prefix = try template.prefix(examples: records, count: 3, seed: 1)
    #expect(prefix == (try template.prefix(examples: records, count: 3, seed: 1)))
    #expect(prefix != (try template.prefix(examples: records, count: 3, seed: 1, prompt: 1)))
    #expect(prefix.hasSuffix(".\n\n"))
    for index in 0..<50 {
      let chosen = try Template.exampleIndices(count: 10, available: 10, seed: 2, prompt: index)
      #expect(Set(chosen) == Set(0..<10))
    }
    #expect(throws: TextError.tooFewExamples(needed: 11, found: 10)) {
      try template.prefix(examples: records, count: 11, seed: 1)
    }
    #expect(try template.prefix(examples: [], count: 0, seed: 1) == "")
  }
}
