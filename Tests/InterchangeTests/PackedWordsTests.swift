import Testing

@testable import Interchange

@Suite struct PackedWordsTests {
  /// The words that ptq.md, part F, gives.
  @Test func goldenWords() {
    let run = (0..<32).map { UInt8($0 % 8) }
    #expect(PackedWords.stream(Array(run[0..<8]), bits: 4) == [0x7654_3210])
    #expect(PackedWords.stream(run, bits: 3) == [0x88FA_C688, 0xC688_FAC6, 0xFAC6_88FA])
    #expect(PackedWords.awq(run[0..<8]) == [0x7531_6420])
  }

  @Test(arguments: 1...8) func unpackingUndoesPacking(bits: Int) {
    for length in 1...200 {
      let codes = (0..<length).map { UInt8(($0 * 37 + length * 11) % (1 << bits)) }
      let words = PackedWords.stream(codes, bits: bits)
      #expect(words.count == PackedWords.count(codes: length, bits: bits))
      #expect(PackedWords.codes(words, count: length, bits: bits) == codes)
    }
  }

  @Test(arguments: [2, 3, 4, 8]) func wordsFirstIsTheStreamsTransposed(bits: Int) {
    let (lines, length) = (5, 64)
    let codes = (0..<lines * length).map { UInt8(($0 * 29) % (1 << bits)) }
    let packed = PackedWords.wordsFirst(lines: lines, length: length, bits: bits) {
      codes[$0 * length + $1]
    }
    for line in 0..<lines {
      let stream = PackedWords.stream(
        Array(codes[line * length..<(line + 1) * length]), bits: bits)
      #expect(stream == (0..<stream.count).map { packed[$0 * lines + line] })
    }
    #expect(
      PackedWords.codes(wordsFirst: packed, lines: lines, length: length, bits: bits) == codes)
  }

  @Test func awqIsUndone() {
    let codes = (0..<64).map { UInt8(($0 * 7) % 16) }
    #expect(PackedWords.codes(awq: PackedWords.awq(codes[...])[...]) == codes)
  }
}
