import TestSupport
import Testing

@testable import Text

@Suite("Windows over a token stream")
struct WindowTests {
  private func stream(_ count: Int) -> TokenStream {
    TokenStream(unchecked: Array(0..<Int32(count)), source: "s")
  }

  @Test("by default consecutive, full, no overlap, the first token unscored")
  func consecutive() throws {
    let windows = try Windows.consecutive(stream(11), length: 4)
    #expect(windows.map(\.tokens) == [[0, 1, 2, 3], [4, 5, 6, 7]])
    #expect(windows.allSatisfy { $0.firstScored == 1 && $0.scoredCount == 3 })
    #expect(try Windows.consecutive(stream(11), length: 4, count: 1).count == 1)
  }

  @Test("with a beginning token every token of the stream is scored once")
  func beginning() throws {
    let windows = try Windows.consecutive(stream(9), length: 4, beginning: 77)
    #expect(windows.map(\.tokens) == [[77, 0, 1, 2], [77, 3, 4, 5], [77, 6, 7, 8]])
    #expect(windows.map(\.scoredCount).reduce(0, +) == 9)
  }

  @Test("a stride scores no token twice", arguments: [1, 2, 3, 4], [nil, Int32(77)])
  func stride(stride: Int, beginning: Int32?) throws {
    let length = beginning == nil ? 4 : 5
    let windows = try Windows.consecutive(
      stream(21), length: length, stride: stride, beginning: beginning)
    let scored = windows.flatMap { $0.tokens[$0.firstScored...] }
    #expect(Set(scored).count == scored.count)
    if stride < 4 || beginning != nil {
      #expect(scored == Array(scored[0]..<scored[0] + Int32(scored.count)))
    }
    #expect(windows.allSatisfy { $0.tokens.count == length })
  }

  @Test("random windows depend on the seed and their own number only")
  func random() throws {
    let few = try Windows.random(stream(1000), sequences: 4, length: 10, seed: 3)
    let many = try Windows.random(stream(1000), sequences: 50, length: 10, seed: 3)
    #expect(Array(many.prefix(4)) == few)
    #expect(try Windows.random(stream(1000), sequences: 4, length: 10, seed: 4) != few)
    #expect(many.allSatisfy { $0.tokens == Array($0.tokens[0]..<$0.tokens[0] + 10) })
    let starts = try Windows.random(stream(13), sequences: 400, length: 10, seed: 0)
      .map { $0.tokens[0] }
    #expect(Set(starts) == [0, 1, 2, 3])
  }

  @Test("a window's start is the definition's")
  func definition() throws {
    let windows = try Windows.random(stream(1000), sequences: 3, length: 10, seed: 3)
    // ⌊u · 991 / 2⁶⁴⌋ with u from Philox4x32-10, key (3, 0), counters (i, 0, 0, 1 << 24).
    #expect(windows.map { $0.tokens[0] } == [1, 976, 957])
  }

  @Test("settings that make no sense and streams that are too short are refused")
  func refused() {
    #expect(throws: TextError.tooFewTokens(source: "s", needed: 12, found: 11)) {
      try Windows.consecutive(stream(11), length: 4, count: 3)
    }
    #expect(throws: TextError.tooFewTokens(source: "s", needed: 4, found: 3)) {
      try Windows.consecutive(stream(3), length: 4)
    }
    #expect(throws: TextError.self) { try Windows.consecutive(stream(9), length: 1) }
    #expect(throws: TextError.self) { try Windows.consecutive(stream(9), length: 4, stride: 5) }
    #expect(throws: TextError.self) { try Windows.consecutive(stream(9), length: 4, stride: 0) }
    #expect(throws: TextError.self) {
      try Windows.consecutive(stream(9), length: 4, count: Int.max)
    }
    #expect(throws: TextError.self) {
      try Windows.random(stream(9), sequences: 1, length: 10, seed: 0)
    }
  }
}
