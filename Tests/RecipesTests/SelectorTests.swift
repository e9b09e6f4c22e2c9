import Recipes
import Testing

@Suite("Selectors")
struct SelectorTests {
  @Test(arguments: [
    ("*", "", true), ("*", "a.b/c", true), ("a", "a", true), ("a", "ab", false), ("a", "", false),
    ("?", "a", true), ("?", "", false), ("?", "ab", false), ("a*c", "abbc", true),
    ("a*c", "ac", true), ("a*c", "acd", false), ("*.weight", "model.layers.0.weight", true),
    ("model.*.mlp.*.weight", "model.layers.3.mlp.up_proj.weight", true),
    ("model.*.mlp.*.weight", "model.layers.3.attn.q_proj.weight", false),
    ("layers.[0-3].*", "layers.2.w", true), ("layers.[0-3].*", "layers.4.w", false),
    ("[ab]x", "bx", true), ("[!ab]x", "bx", false), ("[!ab]x", "cx", true), ("[a-]", "-", true),
    ("a\\*b", "a*b", true), ("a\\*b", "axb", false), ("**a**", "bab", true), ("*é?", "caféx", true),
    ("A", "a", false), ("*ab*ab*", "abab", true), ("*ab*ab*", "aba", false),
  ])
  func globs(_ glob: String, _ name: String, _ matches: Bool) throws {
    #expect(try Selector(glob).matches(name) == matches)
  }

  @Test func globsTakeNoExponentialTime() throws {
    let selector = try Selector(String(repeating: "*a", count: 200) + "b")
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(!selector.matches(String(repeating: "a", count: 4000)))
    }
    #expect(time < .seconds(1))
  }

  @Test(arguments: [
    ("re:layers\\.0\\.", "model.layers.0.w", true), ("re:^layers", "model.layers.0.w", false),
    ("re:^model\\.layers\\.(0|1)\\.", "model.layers.1.w", true), ("re:w$", "model.w", true),
    ("re:(?i)WEIGHT", "a.weight", true), ("re:^$", "", true), ("re:x(?=\\.y)", "x.y", true),
  ])
  func expressions(_ text: String, _ name: String, _ matches: Bool) throws {
    let selector = try Selector(text)
    #expect(selector.kind == .regularExpression)
    #expect(selector.matches(name) == matches)
  }

  @Test(arguments: [
    ("", SelectorError.empty), ("re:", .empty),
    ("a[", .glob(problem: "'[' is not closed", offset: 1)),
    ("a[]", .glob(problem: "'[]' is empty", offset: 1)),
    ("[z-a]", .glob(problem: "the range 'z-a' runs backwards", offset: 1)),
    ("a\\", .glob(problem: "'\\' escapes nothing", offset: 1)),
    ("re:é(", .expression(problem: "missing closing parenthesis", offset: 2)),
    (
      "re:a**b+++*", .expression(problem: "quantifier does not follow a repeatable item", offset: 2)
    ),
  ])
  func malformed(_ text: String, _ error: SelectorError) {
    #expect(throws: error) { try Selector(text) }
  }

  @Test func hostileExpressionsGiveUp() throws {
    let clock = ContinuousClock()
    let name = String(repeating: "a", count: 60) + "!"
    let hostile = try Selector("re:^(a+)+$", position: SourcePosition(line: 3, column: 5))
    let time = clock.measure { #expect(!hostile.matches(name)) }
    #expect(time < .seconds(1))
    let recipe = Recipe(
      name: "t", targets: [hostile], stages: [.quantize(QuantizeOptions(bits: 4))])
    #expect(
      recipe.unmatchedSelectors(names: [name]).map(\.description) == [
        """
        <recipe>:3:5: error: selector 're:^(a+)+$' gives up on '\(name)': it backtracks too much \
        (use simpler repetitions)
        """
      ])
    #expect(throws: SelectorError.self) { try Selector("re:((a{999}){999}){999}") }
    #expect(throws: SelectorError.self) {
      try Selector("re:" + String(repeating: "(", count: 1000))
    }
    #expect(throws: SelectorError.tooLong(bytes: 5000, limit: 4096)) {
      try Selector("re:" + String(repeating: "a", count: 5000))
    }
  }

  static let names =
    (0..<4).flatMap { layer in
      ["self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"].map {
        "model.layers.\(layer).\($0).weight"
      }
    } + ["model.embed_tokens.weight", "lm_head.weight"]

  @Test(arguments: [
    ("model.*.mlp.gate_porj.weight", "model.*.mlp.gate_proj.weight"),
    ("model.layers.*.mlp.down_proj", "model.layers.*.mlp.down_proj.weight"),
    ("mlp.down_proj", "*.mlp.down_proj.weight"), ("lm_haed.weight", "lm_head.weight"),
    ("*.self_atn.*.weight", "*.self_attn.*.weight"), ("layers.0.*", "*.layers.0.*"),
    ("*dwn_pro?.weight", "model.layers.0.mlp.down_proj.weight"),
  ])
  func unmatchedGlobsGetASuggestion(_ glob: String, _ suggestion: String) throws {
    let recipe = Recipe(
      name: "t", targets: [try Selector(glob)], stages: [.quantize(QuantizeOptions(bits: 4))])
    let found = recipe.unmatchedSelectors(names: Self.names)
    #expect(found.count == 1)
    #expect(found.first?.suggestion == suggestion)
    // The suggestion would have helped.
    #expect(Self.names.contains { (try? Selector(suggestion))?.matches($0) == true })
  }

  @Test func unmatchedSelectorsAreReportedWhereTheyStand() throws {
    let marked = MarkedText(
      """
      version: 1
      name: t
      targets: ["*", 1️⃣"zzz"]
      ignore: ["lm_head.weight", 2️⃣"re:^layers"]
      stages: [{quantize: {method: rtn, bits: 4}}]
      overrides:
        - targets: ["*", 3️⃣"*.o_prj.weight"]
          skip: true
      """)
    let recipe = try RecipeParser.parse(text: marked.text, file: "r.yaml")
    let found = recipe.unmatchedSelectors(names: Self.names)
    #expect(
      found.map(\.position) == ["1️⃣", "2️⃣", "3️⃣"].map { marked.positions[Character($0)] })
    #expect(
      found.last?.description == """
        r.yaml:7:20: error: selector '*.o_prj.weight' matches no tensor; did you mean \
        '*.o_proj.weight'? (18 tensors, 'pith inspect' lists them)
        """)
    #expect(found.first?.suggestion == nil)
  }

  @Test func equalityIgnoresPositions() throws {
    let one = try Selector("a*", position: SourcePosition(line: 1, column: 1))
    let other = try Selector("a*", position: SourcePosition(line: 2, column: 9))
    #expect(one == other && one.position != other.position)
    #expect(try one != Selector("a?"))
  }
}
