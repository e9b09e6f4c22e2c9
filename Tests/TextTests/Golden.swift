import Foundation
import JSONText
import TestSupport
import Testing

@testable import Text

/// The tokenizers and results that fixtures/make_tokenizers.py wrote.
struct Golden {
  static let names = [
    "gpt2", "llama3", "qwen2", "roberta", "llama2", "metaspace", "metaspace-split", "bert",
    "bert-cased", "word-suffix", "behaviours", "whitespace",
  ]

  /// The texts that every tokenizer is tried on.
  struct Texts: Sendable {
    var short: [String]
    var long: [(unit: String, times: Int)]
    /// The assigned code points of each block of 256, as one row and mixed with ASCII.
    var blocks: [(block: Int, row: String, mixed: String)]
  }

  static func json(_ name: String) throws -> JSONValue {
    try JSONParser.parse(try TextFile.contents(SharedFiles.fixture("tokenizers/\(name)")))
  }

  static func tokenizer(_ name: String, _ route: Tokenizer.Route = .fast) throws -> Tokenizer {
    let path = SharedFiles.fixture("tokenizers/\(name).json")
    return try Tokenizer(
      json: TextFile.contents(path), path: path, configuration: nil, route: route)
  }

  static func texts() throws -> Texts { try read.get() }

  private static let read = Result { try readTexts() }

  private static func readTexts() throws -> Texts {
    let root = try json("texts.json")
    var byBlock: [Int: [Unicode.Scalar]] = [:]
    for range in try #require(root["assigned"]?.array) {
      for code in try #require(range[0]?.int)...(try #require(range[1]?.int)) {
        byBlock[code >> 8, default: []].append(try #require(Unicode.Scalar(UInt32(code))))
      }
    }
    let blocks = byBlock.sorted { $0.key < $1.key }.map { block, scalars in
      var row = String.UnicodeScalarView()
      var mixed = String.UnicodeScalarView()
      for scalar in scalars {
        row.append(scalar)
        mixed += ["a", scalar, "b", " ", scalar, "1", scalar, " "]
      }
      return (block, String(row), String(mixed))
    }
    return Texts(
      short: try #require(root["texts"]?.array).compactMap(\.string),
      long: try #require(root["long"]?.array).map {
        (try #require($0[0]?.string), try #require($0[1]?.int))
      },
      blocks: blocks)
  }

  /// The 64-bit FNV-1a hash of ids as little-endian words, in hexadecimal.
  static func hash(_ ids: [Int32]) -> String {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for id in ids {
      for shift in [0, 8, 16, 24] {
        state = (state ^ UInt64(UInt32(bitPattern: id) >> shift & 0xFF)) &* 0x100_0000_01B3
      }
    }
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension JSONValue {
  /// The elements of a list of ids.
  var ids: [Int32]? { array?.compactMap { $0.int.map(Int32.init) } }
}
