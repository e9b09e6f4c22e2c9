import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing
import Weights

@testable import Artefacts

@Suite struct DamageTests {
  static func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "accepted"
    } catch { return "\(error)" }
  }

  /// An artefact with a weight "w" and a tensor "t", and the bytes of their payloads.
  private func sample(
    _ workshop: Workshop
  ) throws -> (path: String, codes: [UInt8], scales: [UInt8], tensor: [UInt8]) {
    let weight = CompressedWeight(
      view: WeightView(rows: 24, columns: 96), base: try SampleWeights.integer(4))
    let tensor = Tensor(dtype: .f32, shape: [64], array: (0..<64).map { Float($0) + 0.5 })
    let path = try workshop.assemble([
      workshop.entry("w", weight), workshop.entry("t", tensor),
    ])
    func bytes(_ name: String) -> [UInt8] {
      weight.encodedParts().parts.first { $0.path == name }?.tensor.bytes.array(of: UInt8.self)
        ?? []
    }
    return (path, bytes("base/codes"), bytes("base/scales"), tensor.bytes.array(of: UInt8.self))
  }

  @Test func anUntouchedFileVerifies() throws {
    try Workshop.with { workshop in
      let result = try ArtefactFile(path: sample(workshop).path).verify(pool: .serial)
      #expect(result == .init(weights: 1, tensors: 1, datasets: 3, bytes: 24 * 48 + 24 * 6 + 256))
    }
  }

  @Test func aFlippedBitIsFoundAndNamed() throws {
    try Workshop.with { workshop in
      for part in ["weights/w/base/codes", "weights/w/base/scales", "tensors/t"] {
        let sample = try sample(workshop)
        let bytes =
          part.hasSuffix("codes")
          ? sample.codes : part.hasSuffix("t") ? sample.tensor : sample.scales
        try Workshop.damage(sample.path, in: bytes, at: bytes.count - 4)
        let text = Self.message {
          _ = try ArtefactFile(path: sample.path).verify(pool: WorkerPool(workers: 2))
        }
        #expect(text.contains("'\(part)'") && text.contains("SHA-256"), "\(text)")
        #expect(text.contains(sample.path))
      }
    }
  }

  @Test func valuesThatAreNoNumbersAreRefused() throws {
    try Workshop.with { workshop in
      var sample = try sample(workshop)
      // 0x7E.. is a NaN in f16.
      try Workshop.damage(sample.path, in: sample.scales, at: 1, to: 0x7E)
      let file = try ArtefactFile(path: sample.path)
      let text = Self.message { _ = try file.content(of: "w") }
      #expect(text.contains("'w'") && text.contains("base/scales"), "\(text)")
      #expect(Self.message { _ = try file.verify(pool: .serial) } == text)
      sample = try self.sample(workshop)
      // A scale of zero would make every weight of its group vanish.
      try Workshop.damage(sample.path, in: sample.scales, at: 1, to: 0)
      #expect(
        Self.message { _ = try ArtefactFile(path: sample.path).content(of: "w") } != "accepted")
    }
  }

  @Test func aNaNInAPlainTensorIsRefusedWhateverItsHash() throws {
    try Workshop.with { workshop in
      let tensor = Tensor(dtype: .f32, shape: [3], array: [1, .nan, 3] as [Float])
      let path = try workshop.assemble([workshop.entry("t", tensor)])
      let text = Self.message { _ = try ArtefactFile(path: path).verify(pool: .serial) }
      #expect(text.contains("'tensors/t'") && text.contains("element 1"), "\(text)")
    }
  }

  @Test func datasetsWithoutAHashAreCounted() throws {
    try Workshop.with { workshop in
      let tensor = Tensor(dtype: .f32, shape: [3], array: [1, 2, 3] as [Float])
      let path = try workshop.assemble([workshop.entry("t", tensor, hashed: false)])
      #expect(try ArtefactFile(path: path).verify(pool: .serial).unhashed == 1)
    }
  }

  @Test(arguments: [
    "format_version", "tool_version", "recipe", "recipe_name", "recipe_sha256", "source_format",
    "source_metadata", "source_sha256", "seed", "fingerprint", "tensor_names",
  ])
  func aMissingRootAttributeIsNamed(_ name: String) throws {
    try Workshop.with { workshop in
      let path = try workshop.tree(without: name)
      let text = Self.message { _ = try ArtefactFile(path: path) }
      #expect(text.contains("lacks the attribute '\(name)'") && text.contains(path), "\(text)")
    }
  }

  @Test(arguments: [
    ("seed", AttributeValue.string("-1")), ("seed", .string("x")),
    ("source_sha256", .string("[]")), ("source_metadata", .string("{\"a\": 1}")),
    ("tensor_names", .string("{}")), ("tensor_names", .string("[1]")),
    ("companion:tokenizer.json", .int(3)), ("kv_cache", .int(4)), ("kv_cache", .string("{}")),
    ("kv_scales", .string("{\"format\":\"int4\",\"keys\":[1],\"values\":[1]}")),
    ("kv_scales", .string("{\"format\":\"int8\",\"keys\":[1,2],\"values\":[1]}")),
    ("kv_scales", .string("{\"format\":\"int8\",\"keys\":[0],\"values\":[1]}")),
    ("kv_scales", .string("{\"format\":\"int8\",\"keys\":[1,\"x\"],\"values\":[1,2]}")),
    (
      "kv_cache",
      .string(
        "{\"group\":32,\"key_bits\":1,\"keys\":\"channel\",\"residual\":32,\"value_bits\":4}")
    ),
  ])
  func anAttributeOfTheWrongKindIsNamed(_ name: String, _ value: AttributeValue) throws {
    try Workshop.with { workshop in
      let path = try workshop.tree(attributes: [name: value])
      let text = Self.message { _ = try ArtefactFile(path: path) }
      #expect(text.contains("'\(name)'") && text.contains("not valid"), "\(text)")
    }
  }

  @Test func versionsAndStrangersAreTold() throws {
    try Workshop.with { workshop in
      let newer = try workshop.tree(attributes: ["format_version": .int(2)])
      let text = Self.message { _ = try ArtefactFile(path: newer) }
      #expect(text.contains("version 2") && text.contains("use a newer pith"), "\(text)")
      let other = try workshop.tree(without: "format")
      #expect(Self.message { _ = try ArtefactFile(path: other) }.contains("no Pith artefact"))
      let model = SharedFiles.fixture("nanollama/model.h5")
      #expect(Self.message { _ = try ArtefactFile(path: model) }.contains("no Pith artefact"))
      let text5 = workshop.folder + "/text.h5"
      try "hello".write(toFile: text5, atomically: true, encoding: .utf8)
      #expect(throws: CheckpointError.self) { _ = try ArtefactFile(path: text5) }
    }
  }

  @Test func namesAreThereExactlyOnce() throws {
    try Workshop.with { workshop in
      let node = HDF5Node.dataset(dtype: .u8, shape: [1], attributes: [:])
      let group = HDF5Node.group(attributes: [:], children: [])
      func open(
        _ tensors: [HDF5NamedNode], _ weights: [HDF5NamedNode] = [], _ names: String
      ) -> String {
        Self.message {
          let path = try workshop.tree(tensors: tensors, weights: weights, names: names)
          _ = try ArtefactFile(path: path)
        }
      }
      let a = HDF5NamedNode("a", node)
      #expect(open([a], [], "[\"a\"]") == "accepted")
      #expect(open([a], [], "[\"a\",\"a\"]").contains("'a' is there twice"))
      #expect(open([a], [], "[\"a\",\"b\"]").contains("no tensor 'b'"))
      #expect(open([a, HDF5NamedNode("b", node)], [], "[\"a\"]").contains("'b' is not among"))
      // One name as a tensor and as a weight, and one name spelled in two ways.
      #expect(open([a], [HDF5NamedNode("a", group)], "[\"a\"]").contains("twice"))
      #expect(
        open([HDF5NamedNode("x%2Fy", node), HDF5NamedNode("x%2fy", node)], [], "[\"x/y\"]")
          .contains("twice"))
      #expect(open([HDF5NamedNode("g", group)], [], "[\"g\"]").contains("not a dataset"))
      #expect(open([], [a], "[\"a\"]").contains("not a group"))
    }
  }

  @Test func aWeightWithoutAPartIsNamed() throws {
    try Workshop.with { workshop in
      let weight = CompressedWeight(
        view: WeightView(rows: 24, columns: 96), base: try SampleWeights.integer(4),
        outliers: nil, lowRank: [SampleWeights.path])
      let whole = try workshop.entry("w", weight)
      guard case .weight(let attributes, let datasets) = whole.content else { return }
      for (index, dataset) in datasets.enumerated() where !dataset.path.hasSuffix("sigma") {
        var rest = datasets
        rest.remove(at: index)
        let entry = ArtefactEntry(
          name: "w", content: .weight(attributes: attributes, datasets: rest))
        let path = try workshop.assemble([entry])
        let text = Self.message { _ = try ArtefactFile(path: path).verify(pool: .serial) }
        #expect(text.contains("'w' is not valid"), "without \(dataset.path): \(text)")
      }
      for name in attributes.keys {
        var rest = attributes
        rest[name] = nil
        let entry = ArtefactEntry(name: "w", content: .weight(attributes: rest, datasets: datasets))
        let path = try workshop.assemble([entry])
        let text = Self.message { _ = try ArtefactFile(path: path).verify(pool: .serial) }
        #expect(text != "accepted", "without \(name)")
      }
      var wrong = attributes
      wrong["source_dtype"] = .string("float99")
      let path = try workshop.assemble([
        ArtefactEntry(name: "w", content: .weight(attributes: wrong, datasets: datasets))
      ])
      let text = Self.message { _ = try ArtefactFile(path: path).verify(pool: .serial) }
      #expect(text.contains("float99"), "\(text)")
    }
  }
}
