import Checkpoints
import Foundation
import TestSupport
import Testing

/// Every hostile file of fixtures/make_hostile_safetensors.py and what it must be called.
@Suite struct SafetensorsHostileTests {
  static let files: [(name: String, problem: SafetensorsProblem)] = [
    ("too-short", .tooShort(size: 3)),
    ("header-longer-than-file", .headerPastEnd(length: 5000, size: 79)),
    ("header-longer-than-limit", .headerTooLong(length: 1 << 62, limit: 100_000_000)),
    (
      "header-length-zero",
      .headerNotJSON(reason: "the JSON text ends early, at byte 0")
    ),
    (
      "header-not-utf8",
      .headerNotJSON(reason: "the JSON text is not UTF-8 near byte 2")
    ),
    ("header-not-an-object", .headerNotJSON(reason: "it is not an object")),
    ("header-cut", .headerNotJSON(reason: "the JSON text ends early, at byte 114")),
    (
      "header-deep",
      .headerNotJSON(reason: "the JSON text nests more than 256 levels deep at byte 260")
    ),
    (
      "header-trailing-text",
      .headerNotJSON(reason: "the JSON text has more bytes after its end, at byte 123")
    ),
    ("duplicate-name", .duplicateName(name: "a")),
    ("metadata-not-text", .metadataNotText(key: "format")),
    ("dtype-unknown", .unknownDType(tensor: "a", dtype: "F31")),
    ("dtype-number", .fieldInvalid(tensor: "a", field: "dtype", expected: "a text")),
    ("shape-text", shape("a")),
    ("shape-fraction", shape("a")),
    ("shape-beyond-64-bits", shape("a")),
    ("shape-negative", .negativeExtent(tensor: "a", shape: [-4])),
    ("shape-overflows", .shapeOverflows(tensor: "a", shape: [1 << 40, 1 << 40])),
    ("shape-overflows-to-right-size", .shapeOverflows(tensor: "a", shape: [1 << 62, 4, 1])),
    ("shape-empty-and-overflowing", .shapeOverflows(tensor: "a", shape: [0, 1 << 40, 1 << 40])),
    ("wrong-byte-count", .wrongByteCount(tensor: "a", expected: 12, found: 16)),
    (
      "field-unknown",
      .fieldInvalid(
        tensor: "a", field: "strides",
        expected: "absent: only dtype, shape and data_offsets are known")
    ),
    ("field-missing", offsets("a")),
    ("offsets-reversed", .offsetsReversed(tensor: "a", begin: 16, end: 0)),
    ("offsets-negative", .offsetsReversed(tensor: "a", begin: -16, end: 0)),
    ("offsets-three", offsets("a")),
    ("offsets-overlap", .overlap(tensor: "b", other: "a")),
    ("offsets-inside-another", .overlap(tensor: "b", other: "a")),
    ("hole-between", .hole(tensor: "b", begin: 8, expected: 4)),
    ("hole-at-start", .hole(tensor: "a", begin: 4, expected: 0)),
    ("bytes-left-over", .bytesLeftOver(count: 8)),
    ("truncated", .offsetsPastEnd(tensor: "b", end: 16, available: 11)),
    ("name-with-escape", .wrongByteCount(tensor: "\u{1B}[2Jgone", expected: 12, found: 16)),
  ]

  static func shape(_ tensor: String) -> SafetensorsProblem {
    .fieldInvalid(
      tensor: tensor, field: "shape", expected: "a list of at most 32 integers of 64 bits")
  }

  static func offsets(_ tensor: String) -> SafetensorsProblem {
    .fieldInvalid(
      tensor: tensor, field: "data_offsets", expected: "a list of two integers of 64 bits")
  }

  @Test(arguments: files.indices) func file(_ index: Int) throws {
    let (name, problem) = Self.files[index]
    let path = SharedFiles.fixture("hostile/\(name).safetensors")
    let expected = CheckpointError.safetensors(path: path, problem)
    #expect(throws: expected) { try SafetensorsSource(path: path) }
    // The opener looks at the content first; it must come to the same answer.
    #expect(throws: expected) { try CheckpointOpener.open(path) }
    let sentence = "\(expected)"
    #expect(sentence.hasPrefix(path + ": "))
    #expect(sentence.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "control characters")
    #expect(sentence.count > path.count + 20)
  }

  @Test(
    arguments: [
      ("index-traversal", .unsafeName(shard: "../truncated.safetensors")),
      ("index-absolute", .unsafeName(shard: "/etc/passwd")),
      ("index-missing-shard", .missing(shard: second)),
      ("index-wrong-shard", .tensorNotInShard(shard: second, tensor: "a")),
      ("index-names-absent-tensor", .tensorNotInShard(shard: second, tensor: "c")),
      ("index-leaves-tensor-out", .tensorNotInIndex(shard: first, tensor: "b")),
      ("index-tensor-in-two", .tensorInTwoShards(tensor: "b", shards: [first, second])),
      (
        "index-not-json",
        .indexInvalid(reason: "byte 0 of the JSON text is 'w' where a value was expected")
      ),
      ("index-without-map", .indexInvalid(reason: "it has no 'weight_map' that names tensors")),
      ("index-number-for-file", .indexInvalid(reason: "the file of tensor 'a' is not a text")),
    ] as [(String, ShardsProblem)]) func index(_ name: String, _ problem: ShardsProblem) throws
  {
    let folder = SharedFiles.fixture("hostile/\(name)")
    let path = folder + "/model.safetensors.index.json"
    let expected = CheckpointError.shards(path: path, problem)
    #expect(throws: expected) { try CheckpointOpener.open(folder) }
    #expect(throws: expected) { try CheckpointOpener.open(path) }
    #expect("\(expected)".hasPrefix(path + ": "))
  }

  @Test(
    arguments: [
      ("folder-pickle-only", .onlyPyTorch(files: ["pytorch_model.bin"])),
      ("folder-empty-but-config", .noModel),
      ("folder-two-models", .severalModels(files: ["one.safetensors", "two.safetensors"])),
      ("empty.safetensors", .empty),
      ("lfs-pointer.safetensors", .gitLFSPointer(size: 4321)),
      ("pickle.safetensors", .pyTorch),
      ("text.h5", .unknownFormat(beginning: "'weights,'")),
    ] as [(String, OpeningProblem)]) func opening(_ name: String, _ problem: OpeningProblem) throws
  {
    let path = SharedFiles.fixture("hostile/\(name)")
    let expected = CheckpointError.opening(path: path, problem)
    #expect(throws: expected) { try CheckpointOpener.open(path) }
    #expect("\(expected)".hasPrefix(path + ": "))
  }

  @Test func companionThatIsNotText() throws {
    let folder = SharedFiles.fixture("hostile/folder-config-not-text")
    #expect(
      throws: CheckpointError.opening(path: folder + "/config.json", .companionNotText)
    ) { try CheckpointOpener.open(folder) }
  }

  /// Whatever is in the folder, of whichever container, goes through the one door: it opens, or
  /// the sentence names it.
  @Test func everythingThroughTheOpener() throws {
    let folder = SharedFiles.fixture("hostile")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(names.count > 80)
    for name in names {
      let path = folder + "/" + name
      do {
        _ = try CheckpointOpener.open(path)
      } catch {
        #expect("\(error)".hasPrefix(path), "\(error)")
      }
    }
  }

  @Test func missingAndSpecialFiles() throws {
    let path = SharedFiles.fixture("hostile/nothing-here")
    #expect(throws: CheckpointError.missing(path: path)) { try CheckpointOpener.open(path) }
    #expect(throws: CheckpointError.notAFile(path: "/dev/null")) {
      try CheckpointOpener.open("/dev/null")
    }
  }

  @Test func notFiniteWeightsAreReadableAndSeen() throws {
    let path = SharedFiles.fixture("hostile/weights-not-finite.safetensors")
    let source = try SafetensorsSource(path: path, findingCompanions: false)
    let values = try source.load(try #require(source.tensors.first)).floats()
    #expect(values[0] == 1 && values[1].isNaN && values[2] == .infinity && values[3] == -.infinity)
  }

  private static let first = "model-00001-of-00002.safetensors"
  private static let second = "model-00002-of-00002.safetensors"
}
