import Foundation
import Recipes
import Testing

@Suite("Malformed and hostile recipes")
struct MalformedTests {
  static let valid = """
    version: 1
    name: fuzz
    targets: ["*", 're:^a\\.b$']
    ignore: ["*.down_proj.weight"]
    seed: 7
    calibration: {data: self, sequences: 8, length: 64}
    stages:
      - transform: {method: channel_scale, alpha: 0.25}
      - prune: &p {method: magnitude, pattern: "2:4"}
      - quantize: {method: rtn, bits: 4, group: channel, symmetric: false}
    overrides:
      - targets: ["a.*"]
        stages: [{prune: *p}, {prune: {<<: *p, pattern: 1:4}}]
      - targets: ["b.*"]
        set: {quantize: {bits: 8}}

    """

  @Test func syntaxErrorsHaveAPlace() {
    expectErrors(
      "version: 1\nstages: [1, 2\nname1️⃣: x\n",
      "1️⃣error: the YAML is malformed: did not find expected ',' or ']'")
    expectErrors(
      "version: 1\nstages:\n1️⃣\t- quantize: {}\n",
      "1️⃣error: YAML is not indented with tabs; use spaces")
    expectErrors(
      "version: 1\nname: a\nseed: 0\n1️⃣name: b\n",
      "1️⃣error: the key 'name' is given twice, first on line 2")
    expectErrors(
      "a: {1️⃣bits: 4, bits: 3}\n", "1️⃣error: the key 'bits' is given twice in one mapping")
    expectErrors(
      "version: 1\nname: 1️⃣*nobody\n", "1️⃣error: the YAML is malformed: found undefined alias")
    expectErrors(
      "version: 1\n---\n1️⃣name: x\n".replacingOccurrences(of: "---\n1️⃣", with: "1️⃣---\n"),
      "1️⃣error: the YAML is malformed: but found another document")
    expectErrors(
      "version: 1\nname: 1️⃣!!int x\nstages: [{quantize: {method: rtn, bits: 4}}]\n",
      "1️⃣error: tags have no meaning in a recipe, found 'tag:yaml.org,2002:int'")
    expectErrors("1️⃣[1]: 2\n", "1️⃣error: a key must be a word, found a list or a mapping")
  }

  @Test(arguments: ["", "# nothing\n", "   \n\n", "---\n"])
  func emptyFilesAreRefused(_ text: String) {
    let found = messages(text)
    #expect(found.count == 1)
    #expect(
      found.first?.contains("the file is empty") == true
        || found.first?.contains("found nothing") == true, "\(found)")
  }

  @Test func otherDocumentsAreRefused() {
    #expect(
      messages("- 1\n") == [
        """
        r.yaml:1:1: error: the recipe must be a mapping of options (version, name, description, \
        targets, ignore, strict_groups, seed, calibration, kv_cache, stages, overrides), found a list
        """
      ])
  }

  @Test func bytesThatAreNoTextAreRefused() {
    let bytes = Array("version: 1\nna".utf8) + [0xFF] + Array("me: t\n".utf8)
    #expect(
      throws: RecipeErrors([
        RecipeDiagnostic(
          file: "r.yaml", position: SourcePosition(line: 2, column: 3),
          message: "the file is not UTF-8 text")
      ])
    ) { try RecipeParser.parse(bytes: bytes, file: "r.yaml") }
    #expect(messages("version: 1\nname: \u{0}x\n").count == 1)
  }

  @Test func hugeFilesAreRefusedUnread() {
    let text = "#" + String(repeating: "x", count: RecipeParser.maximumBytes)
    #expect(
      messages(text) == [
        "r.yaml:1:1: error: the file is too large; a recipe has at most 1048576 bytes"
      ])
  }

  @Test(arguments: [false, true])
  func aliasBombsAreRefusedQuickly(asKey: Bool) {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(aliases)]\n"
    }
    if asKey { text += "? *a9\n: 1\n" }
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(
        messages(text) == [
          """
          r.yaml:1:1: error: the file has so many aliases that it could grow without bound; write \
          them out
          """
        ])
    }
    #expect(time < .seconds(1))
  }

  @Test func fewAliasesThatStillGrowAreRefused() {
    // 28 aliases in 7 levels of 4: below the bound on the text, 4^7 · 64 = 1,048,576 values.
    var text = "a0: &a0 [\(Array(repeating: "x", count: 64).joined(separator: ", "))]\n"
    for level in 1...7 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 4).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(aliases)]\n"
    }
    let found = messages(text)
    #expect(found.first?.contains("aliases expand to more than 1048576 values") == true, "\(found)")
  }

  @Test(arguments: [60, 100, 900, 5000])
  func deepNestingIsRefused(depth: Int) {
    let text =
      "version: " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    let found = messages(text)
    #expect(found.count >= 1 && found.first != "accepted", "\(found)")
    if depth == 100 { #expect(found.first?.contains("more than 64 levels") == true, "\(found)") }
  }

  @Test func deepChainsOfAliasesAreRefused() {
    var text = "a0: &a0 x\n"
    for level in 1...18 {
      let open = String(repeating: "[", count: 900), close = String(repeating: "]", count: 900)
      text += "a\(level): &a\(level) \(open)*a\(level - 1)\(close)\n"
    }
    #expect(messages(text).first?.contains("values nest more than 64 levels deep") == true)
  }

  @Test func missingFilesAreNamed() {
    #expect(
      throws: RecipeErrors([
        RecipeDiagnostic(
          file: "no/such.yaml", position: .none, message: "the recipe does not exist")
      ])
    ) { try RecipeParser.parse(file: "no/such.yaml") }
  }

  @Test func aliasesAndMergeKeysWork() throws {
    let parsed = try RecipeParser.parse(text: Self.validMerge, file: "r.yaml")
    #expect(
      parsed.stages == [
        .quantize(QuantizeOptions(bits: 4, group: .inputs(32), clip: .none)),
        .quantize(QuantizeOptions(bits: 8, group: .inputs(32), clip: .none)),
      ])
  }

  static let validMerge = """
    version: 1
    name: merged
    stages:
      - quantize: &four {method: rtn, bits: 4, group: 32, clip: none}
      - quantize: {<<: *four, bits: 8}
    """

  @Test func truncationsAndMutationsNeverCrash() {
    let bytes = Array(Self.valid.utf8)
    #expect(messages(Self.valid) == ["accepted"])
    for count in 0..<bytes.count {
      _ = try? RecipeParser.parse(bytes: Array(bytes.prefix(count)), file: "r.yaml")
    }
    var generator = SplitMix(state: 1)
    let alphabet = Array("{}[]:,-&*!|>'\"%@`#?\n\t \\~0123456789abz.<\0\u{1F}".utf8) + [0xFF, 0xC3]
    var refused = 0
    for _ in 0..<4000 {
      var changed = bytes
      for _ in 0...Int(generator.next() % 4) {
        let index = Int(generator.next() % UInt64(changed.count))
        switch generator.next() % 3 {
        case 0: changed[index] = alphabet[Int(generator.next() % UInt64(alphabet.count))]
        case 1: changed.remove(at: index)
        default:
          changed.insert(alphabet[Int(generator.next() % UInt64(alphabet.count))], at: index)
        }
      }
      do {
        let recipe = try RecipeParser.parse(bytes: changed, file: "r.yaml")
        let again = try RecipeParser.parse(text: recipe.yaml, file: "r.yaml")
        #expect(again == recipe, "\(String(decoding: changed, as: UTF8.self))")
      } catch {
        refused += 1
        #expect(error.diagnostics.contains { $0.severity == .error && $0.line >= 1 })
      }
    }
    #expect(refused > 1000 && refused < 4000)
  }
}

/// Steele, Lea and Flood's generator; enough to choose bytes to break.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
