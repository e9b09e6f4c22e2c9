import JSONText
import TestSupport
import Testing

@testable import Text

@Suite("Tokenizer files: roles, lookup, and what is refused")
struct TokenizerFileTests {
  /// A small byte-pair tokenizer with one part of the file replaced.
  private func json(_ changes: [String: String] = [:]) -> String {
    var parts = [
      "model":
        #"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<u>":3},"merges":["a b"],"unk_token":"<u>"}"#,
      "normalizer": "null", "pre_tokenizer": "null", "post_processor": "null",
      "decoder": "null", "added_tokens": "[]",
    ]
    parts.merge(changes) { $1 }
    return "{" + parts.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
  }

  private func message(_ json: String) -> String {
    do {
      _ = try Tokenizer(json: json, path: "t.json")
      return "accepted"
    } catch {
      return error.description
    }
  }

  @Test("a small file works")
  func small() throws {
    let tokenizer = try Tokenizer(json: json(), path: "t.json")
    #expect(try tokenizer.encode("abba?") == [2, 1, 0, 3])
    #expect(tokenizer.vocabularySize == 4)
    #expect(tokenizer.id(of: "ab") == 2)
    #expect(tokenizer.token(for: 2) == "ab")
    #expect(tokenizer.token(for: 4) == nil)
    #expect(tokenizer.token(for: -1) == nil)
    #expect(tokenizer.decode([2, 99, -5, 1]) == "ab b")
  }

  @Test("canonically equivalent tokens are two tokens")
  func equivalentTokens() throws {
    let model =
      #"{"type":"BPE","vocab":{"\u00e9":0,"e":1,"\u0301":2,"e\u0301":3},"merges":["e \u0301"]}"#
    let tokenizer = try Tokenizer(json: json(["model": model]), path: "t.json")
    #expect(try tokenizer.encode("\u{E9}e\u{301}") == [0, 3])
  }

  @Test("unsupported parts are named, with what is supported")
  func unsupported() {
    #expect(
      message(json(["model": #"{"type":"Unigram","vocab":[["a",0.0]]}"#]))
        == "t.json: model 'Unigram' is not supported; supported are 'BPE', 'WordPiece'")
    #expect(
      message(json(["normalizer": #"{"type":"Precompiled","precompiled_charsmap":""}"#]))
        .hasPrefix("t.json: normalizer 'Precompiled' is not supported; supported are 'Sequence'"))
    #expect(
      message(
        json([
          "pre_tokenizer":
            #"{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"UnicodeScripts"}]}"#
        ])
      ).hasPrefix("t.json: pre_tokenizer.pretokenizers[1] 'UnicodeScripts' is not supported"))
    #expect(message(json(["decoder": #"{"type":"CTC"}"#])).contains("decoder 'CTC'"))
    #expect(
      message(json(["model": #"{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}"#]))
        .contains("model.dropout '0.1' is not supported"))
  }

  @Test("malformed parts are named")
  func malformed() {
    #expect(message("[]").contains("'the file' is missing or malformed"))
    #expect(message("{").hasPrefix("t.json: the JSON text ends early"))
    #expect(message("{}").contains("'model' is missing"))
    #expect(
      message(json(["model": #"{"type":"BPE","vocab":{"a":0},"merges":["a"]}"#]))
        .contains("'model.merges[0]' is missing or malformed; expected two tokens"))
    #expect(
      message(json(["model": #"{"type":"BPE","vocab":{"a":0},"merges":["a b"]}"#]))
        == "t.json: 'model.merges[0]' names the token 'b', which the vocabulary lacks")
    #expect(
      message(json(["model": #"{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}"#]))
        == "t.json: id 0 belongs to two tokens, 'a' and 'b'")
    #expect(
      message(json(["model": #"{"type":"BPE","vocab":{"a":4000000000},"merges":[]}"#]))
        .contains("expected an id from 0"))
    #expect(
      message(json(["added_tokens": #"[{"id":1,"content":"x"}]"#]))
        == "t.json: id 1 belongs to two tokens, 'b' and 'x'")
    let split = #"{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(a"}}"#
    #expect(message(json(["pre_tokenizer": split])).contains("the pattern '(a' cannot be used"))
    let behaviour = #"{"type":"Split","behavior":"Half","pattern":{"Regex":"a"}}"#
    #expect(
      message(json(["pre_tokenizer": behaviour])).contains("expected one of Removed, Isolated"))
  }

  @Test("patterns that would be read otherwise than they are meant are refused")
  func dialect() {
    for pattern in ["[a[b]]", "[a&&b]", "a{1,3}+", "\\\\h", "[\\\\W]", "(?m:.)", "\\\\u12"] {
      let split = #"{"type":"Split","behavior":"Isolated","pattern":{"Regex":"\#(pattern)"}}"#
      #expect(message(json(["pre_tokenizer": split])).contains("cannot be used"), "\(pattern)")
    }
  }

  @Test("a pattern that backtracks without end gives up with a message")
  func catastrophe() throws {
    let split = #"{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?:a+a+)+[bc]"}}"#
    let tokenizer = try Tokenizer(json: json(["pre_tokenizer": split]), path: "t.json")
    #expect(throws: TextError.self) { try tokenizer.encode(String(repeating: "a", count: 4000)) }
  }

  @Test("bytes that are no UTF-8 are refused with their offset")
  func invalidUTF8() throws {
    let tokenizer = try Golden.tokenizer("gpt2")
    let cases: [(bytes: [UInt8], offset: Int)] = [
      ([0x61, 0xFF], 1), ([0xC0, 0x80], 0), ([0x61, 0xE2, 0x82], 1), ([0xED, 0xA0, 0x80], 0),
      ([0xF4, 0x90, 0x80, 0x80], 0), ([0xE0, 0x80, 0x80], 0), ([0x80], 0),
      ([0x61, 0x62, 0xF0, 0x9F, 0x98, 0x41], 2),
    ]
    for (bytes, offset) in cases {
      #expect(throws: TextError.invalidUTF8(source: "x", offset: offset)) {
        try tokenizer.encode(utf8: bytes, source: "x")
      }
    }
    #expect(try tokenizer.encode(utf8: [0x00, 0x61]) == tokenizer.encode("\0a"))
  }

  @Test("the tokenizer beside the model wins over the embedded one; the configuration names roles")
  func lookup() throws {
    let text = json()
    try SharedFiles.withTemporaryFolder { folder in
      #expect(try Tokenizer.belonging(to: folder) == nil)
      let embedded = try Tokenizer.belonging(to: folder + "/model.h5", embedded: text)
      #expect(embedded?.path == folder + "/model.h5 (embedded tokenizer)")
      #expect(embedded?.beginning == nil)
      try text.write(
        toFile: folder + "/tokenizer.json", atomically: true, encoding: .utf8)
      let roles = #"{"bos_token":"a","eos_token":{"content":"b"},"model_max_length":1e30}"#
      try roles.write(
        toFile: folder + "/tokenizer_config.json", atomically: true, encoding: .utf8)
      for path in [folder, folder + "/model.h5"] {
        let found = try #require(try Tokenizer.belonging(to: path, embedded: "no JSON"))
        #expect(found.path.hasSuffix("/tokenizer.json"))
        #expect(found.beginning == 0)
        #expect(found.end == 1)
        #expect(found.roles.modelMaximumLength == nil)
      }
    }
  }

  @Test(
    "no damaged file crashes", arguments: ["llama3", "llama2", "bert", "word-suffix", "behaviours"])
  func damagedFiles(name: String) throws {
    let whole = try TextFile.bytes(SharedFiles.fixture("tokenizers/\(name).json"))
    let root = try JSONParser.parse(whole)
    var random = Random(4)
    // Bytes changed: mostly broken JSON.
    for _ in 0..<40 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] = UInt8.random(in: 0x20..<0x7F, using: &random)
      }
      tryOut(String(decoding: bytes, as: UTF8.self))
    }
    // Values replaced: good JSON, nonsense within.
    for _ in 0..<150 { tryOut(mutated(root, &random).text()) }
  }

  private func tryOut(_ json: String) {
    guard let tokenizer = try? Tokenizer(json: json, path: "t.json") else { return }
    let ids = (try? tokenizer.encodeLimited("It's 12 <s> ab\u{301} \u{1F600} the fox")) ?? []
    _ = tokenizer.decode(ids)
  }

  private func mutated(_ value: JSONValue, _ random: inout Random) -> JSONValue {
    let nonsense: [JSONValue] = [
      nil, -1, 0, 4_000_000_000, 1e300, "", "x", "\u{301}", true, [], [[]], ["a": 1], ["b"],
    ]
    switch value {
    case .object(let object) where !object.members.isEmpty:
      // Large vocabularies would draw all the damage to themselves.
      let index = Int.random(in: 0..<object.members.count, using: &random)
      var result = object
      let (key, member) = object.members[index]
      result[key] = mutated(member, &random)
      return .object(result)
    case .array(let elements) where !elements.isEmpty && Bool.random(using: &random):
      var result = elements
      let index = Int.random(in: 0..<elements.count, using: &random)
      result[index] = mutated(elements[index], &random)
      return .array(result)
    default: return nonsense[Int.random(in: 0..<nonsense.count, using: &random)]
    }
  }
}
