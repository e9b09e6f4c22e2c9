import Checkpoints
import Digests
import Foundation
import Tensors
import Testing
import Weights

@testable import Artefacts

@Suite struct RoundTripTests {
  @Test func weightsWithEveryPartComeBack() throws {
    try Workshop.with { workshop in
      let weights = try SampleWeights.all()
      let file = try ArtefactFile(
        path: workshop.assemble(
          weights.map { try workshop.entry($0.name, $0.weight, type: .bf16) }))
      #expect(file.names == weights.map(\.name))
      for (name, weight) in weights {
        let stored = try file.content(of: name)
        guard case .weight(let found) = stored.kind else {
          Issue.record("\(name) is no weight")
          continue
        }
        #expect(found.view == weight.view)
        #expect(stored.sourceType == .bf16 && stored.sourceShape == weight.view.sourceShape)
        // Part by part the same bytes, and so the same numbers.
        let (left, right) = (weight.encodedParts(), found.encodedParts())
        #expect(left.attributes == right.attributes, "\(name)")
        #expect(left.parts.map(\.path).sorted() == right.parts.map(\.path).sorted())
        for part in left.parts {
          let other = right.parts.first { $0.path == part.path }
          #expect(
            other?.tensor.dtype == part.tensor.dtype && other?.tensor.shape == part.tensor.shape)
          #expect(
            other?.tensor.bytes.array(of: UInt8.self) == part.tensor.bytes.array(of: UInt8.self))
        }
        #expect(found.decoded().values == weight.decoded().values, "\(name)")
        #expect(stored.byteCount == weight.storedBytes)
      }
      let verified = try file.verify(pool: WorkerPool(workers: 2))
      #expect(verified.weights == weights.count && verified.unhashed == 0)
    }
  }

  @Test(arguments: DType.allCases)
  func tensorsOfEveryTypeComeBack(_ dtype: DType) throws {
    try Workshop.with { workshop in
      // Bit patterns below the exponents of NaN and infinity in every type.
      let shapes: [(String, Shape)] = [("matrix", [3, 5]), ("scalar", []), ("empty", [0, 4])]
      let tensors = try shapes.map { name, shape in
        let bytes = (0..<shape.elementCount * dtype.bytes).map { UInt8(1 + $0 % 40) }
        return (name, try Tensor(dtype: dtype, shape: shape, bytes: Bytes(bytes)))
      }
      let path = try workshop.assemble(tensors.map { try workshop.entry($0.0, $0.1) })
      let file = try ArtefactFile(path: path)
      for (name, tensor) in tensors {
        let stored = try file.content(of: name)
        guard case .tensor(let found) = stored.kind else {
          Issue.record("\(name) is no tensor")
          continue
        }
        #expect(found.dtype == dtype && found.shape == tensor.shape, "\(name)")
        #expect(found.bytes.array(of: UInt8.self) == tensor.bytes.array(of: UInt8.self))
        #expect(stored.typeName == dtype.rawValue)
      }
      #expect(try file.verify(pool: .serial).tensors == 3)
    }
  }

  @Test func theHeaderComesBack() throws {
    try Workshop.with { workshop in
      let file = try ArtefactFile(path: workshop.assemble([]))
      #expect(file.header == Workshop.header)
      #expect(file.names.isEmpty)
      #expect(file.denseMetadata.strings["tokenizer.json"] == "{\"a\": \"é\"}")
      #expect(file.denseMetadata.configuration == Workshop.header.configuration)
    }
  }

  @Test func tiesAreStoredOnceAndReadUnderBothNames() throws {
    try Workshop.with { workshop in
      let values = (0..<50_000).map { Float($0) }
      let tensor = Tensor(dtype: .f32, shape: [50_000], array: values)
      let weight = CompressedWeight(
        view: WeightView(rows: 24, columns: 96), base: try SampleWeights.integer(4))
      let entries = [
        // The first name is the last in the alphabet, which is how HDF5 may list links.
        try workshop.entry("z.embed", tensor),
        ArtefactEntry(name: "a.head", content: .tied(to: "z.embed")),
        try workshop.entry("z.linear", weight),
        ArtefactEntry(name: "b.linear", content: .tied(to: "z.linear")),
      ]
      let path = try workshop.assemble(entries)
      let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
      #expect(size < 200_000 + 40_000, "stored twice")
      let file = try ArtefactFile(path: path)
      #expect(file.names == ["z.embed", "a.head", "z.linear", "b.linear"])
      #expect(try file.content(of: "z.embed").tiedTo == nil)
      #expect(try file.content(of: "a.head").tiedTo == "z.embed")
      #expect(try file.content(of: "z.linear").tiedTo == nil)
      #expect(try file.content(of: "b.linear").tiedTo == "z.linear")
      guard case .tensor(let head) = try file.content(of: "a.head").kind,
        case .weight(let second) = try file.content(of: "b.linear").kind
      else {
        Issue.record("ties lead elsewhere")
        return
      }
      #expect(head.floats() == values)
      #expect(second.decoded().values == weight.decoded().values)
      // Hashed once: the second names are the same bytes.
      #expect(try file.verify(pool: .serial).datasets == 3)
    }
  }

  @Test func sameEntriesSameBytes() throws {
    try Workshop.with { workshop in
      let weights = try SampleWeights.all().prefix(40)
      let entries = try weights.map { try workshop.entry($0.name, $0.weight) }
      let first = try workshop.assemble(entries, "1.h5")
      let second = try workshop.assemble(entries, "2.h5", workers: 3)
      #expect(
        try Data(contentsOf: URL(fileURLWithPath: first))
          == Data(contentsOf: URL(fileURLWithPath: second)))
      // Another order is another file: the comparison can fail.
      let third = try workshop.assemble(entries.reversed(), "3.h5")
      #expect(
        try Data(contentsOf: URL(fileURLWithPath: first))
          != Data(contentsOf: URL(fileURLWithPath: third)))
    }
  }

  static let names = [
    "a", "a.b.weight", "a/b/c", "100%", "%2F", "a%2Fb", ".", "..", "...", "./a", "a/../b",
    "größe", "层.0.权重", "👩‍👩‍👧", " ", "a b", "\u{1}", "nul\0l", "+%+1", "%+1", "-", "weights/x",
    String(repeating: "n", count: 300),
  ]

  @Test(arguments: names)
  func namesEscapeAndComeBack(_ name: String) throws {
    let link = ArtefactFormat.escaped(name)
    #expect(!link.contains("/") && !link.unicodeScalars.contains("\0"))
    #expect(link != "." && link != "..")
    #expect(ArtefactFormat.unescaped(link) == name)
  }

  @Test func allNamesLiveInOneFile() throws {
    try Workshop.with { workshop in
      let entries = try Self.names.enumerated().map { index, name in
        try workshop.entry(name, Tensor(dtype: .i32, shape: [1], array: [Int32(index)]))
      }
      let file = try ArtefactFile(path: workshop.assemble(entries))
      #expect(file.names == Self.names)
      for (index, name) in Self.names.enumerated() {
        guard case .tensor(let tensor) = try file.content(of: name).kind else { continue }
        #expect(tensor.bytes.array(of: Int32.self) == [Int32(index)])
      }
    }
  }

  @Test func anExistingTargetIsWholeUntilTheEnd() throws {
    try Workshop.with { workshop in
      let target = workshop.folder + "/out.h5"
      try "old".write(toFile: target, atomically: true, encoding: .utf8)
      var entry = try workshop.entry(
        "a", Tensor(dtype: .f32, shape: [4], array: [1, 2, 3, 4] as [Float]))
      if case .tensor(var dataset) = entry.content {
        dataset.location.file = workshop.folder + "/missing.part"
        entry.content = .tensor(dataset)
      }
      #expect(throws: CheckpointError.self) { try workshop.assemble([entry]) }
      #expect(try String(contentsOfFile: target, encoding: .utf8) == "old")
      #expect(!FileManager.default.fileExists(atPath: target + ".tmp"))
    }
  }
}
