import JSONText
import TestSupport
import Testing

@testable import Text

@Suite("Fast paths against their plain references")
struct FastPathTests {
  @Test("hand-written scanners cut as PCRE2 does", arguments: ["gpt2", "llama3", "qwen2"])
  func scanners(name: String) throws {
    let fast = try Golden.tokenizer(name)
    let (scanner, _) = try #require(fast.scanner)
    let pattern = try RegexPattern(
      try #require(Self.pattern(fast.parts.preTokenizer)), path: name)
    var random = Random(1)
    for round in 0..<400 {
      let text = Array(random.text(1 + round % 60).utf8)
      let expected = try text.withUnsafeBufferPointer { view throws(TextError) in
        try pattern.matches(in: view)
      }
      let found = text.withUnsafeBufferPointer { view in
        ScalarClasses.basicPlane.withUnsafeBufferPointer { classes in
          var ends: [Int] = []
          while let table = classes.baseAddress, ends.last ?? 0 < view.count {
            ends.append(scanner.pieceEnd(view, ends.last ?? 0, table))
          }
          return ends
        }
      }
      #expect(found == expected.map(\.upperBound), "\(String(decoding: text, as: UTF8.self))")
      #expect(expected.first?.lowerBound == 0)
    }
  }

  private static func pattern(_ preTokenizer: PreTokenizer?) -> String? {
    switch preTokenizer {
    case .byteLevel(_, let pattern): pattern?.source
    case .sequence(let steps):
      if case .split(let pattern, _, _) = steps.first { pattern.source } else { nil }
    default: nil
    }
  }

  @Test("merging by heap equals merging by looking at all")
  func merging() throws {
    var random = Random(2)
    for _ in 0..<200 {
      // Any pair may merge to any token: more tangled than a real vocabulary, yet every merged
      // token is longer than its halves, as in a real one.
      var merges: [(left: Int32, right: Int32, result: Int32)] = []
      for result in Int32(4)..<40 {
        let left = Int32.random(in: 0..<result, using: &random)
        let right = Int32.random(in: 0..<result, using: &random)
        merges.append((left, right, result))
      }
      let table = MergeTable(merges.shuffled(using: &random))
      var long = MergeScratch()
      long.symbols = (0..<Int.random(in: 1...90, using: &random)).map { _ in
        Int32.random(in: 0..<4, using: &random)
      }
      var short = long
      short.mergeShort(table)
      long.mergeLong(table)
      #expect(short.symbols == long.symbols)
    }
  }

  @Test("both routes agree on random text", arguments: Golden.names)
  func routes(name: String) throws {
    let fast = try Golden.tokenizer(name)
    let reference = try Golden.tokenizer(name, .reference)
    var random = Random(3)
    for round in 0..<60 {
      let text = random.text(round * 3)
      #expect(try fast.encode(text) == reference.encode(text), "\(text.debugDescription)")
    }
  }

  @Test("a cache that overflows is emptied and goes on")
  func overflowingCache() throws {
    let fast = try Golden.tokenizer("gpt2")
    let reference = try Golden.tokenizer("gpt2", .reference)
    let text = (0..<40_000).map { " w\($0 &* 2_654_435_761 % 1_000_003)" }.joined()
    #expect(try fast.encode(text) == reference.encode(text))
  }

  @Test("a megabyte without a space takes time in proportion", arguments: ["gpt2", "llama2"])
  func longPiece(name: String) throws {
    let tokenizer = try Golden.tokenizer(name)
    let clock = ContinuousClock()
    let unit = "supercalifragilistic"
    let text = String(repeating: unit, count: (1 << 20) / unit.utf8.count)
    var count = 0
    let time = try clock.measure { count = try tokenizer.encode(text).count }
    #expect(count > 1000)
    // Quadratic merging would take minutes.
    #expect(time < .seconds(5), "\(time)")
  }

  @Test("several threads may use one tokenizer at once")
  func concurrentUse() async throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let texts = (0..<64).map { "text number \($0), and \($0 * 7) words more" }
    let expected = try texts.map { try tokenizer.encode($0) }
    let found = try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
      for (index, text) in texts.enumerated() {
        group.addTask { (index, try tokenizer.encode(text)) }
      }
      var result = [[Int32]](repeating: [], count: texts.count)
      for try await (index, ids) in group { result[index] = ids }
      return result
    }
    #expect(found == expected)
  }

  @Test(
    "the shared models' tokenizers give the package's ids on the held-out text",
    .enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"),
    arguments: [
      ("tinyllama", 390_744, "84bffb4a6e897523"), ("nanollama", 485_706, "ab916debcbad306a"),
    ])
  func sharedModels(name: String, count: Int, hash: String) throws {
    let shared = try #require(SharedFiles.shared)
    let tokenizer = try Tokenizer(path: "\(shared)/models/\(name)/tokenizer.json")
    let text = try TextFile.bytes("\(shared)/text/heldout.txt")
    var ids: [Int32] = []
    for line in text.split(separator: 0x0A) { ids += try tokenizer.encode(utf8: Array(line)) }
    #expect(ids.count == count)
    #expect(Golden.hash(ids) == hash)
    #expect(tokenizer.beginning == 0)
    #expect(tokenizer.end == 1)
  }
}
