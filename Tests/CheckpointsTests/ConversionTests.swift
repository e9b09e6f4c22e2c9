import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct ConversionTests {
  /// What must be the same after a conversion.
  static func expectSame(_ new: any TensorSource, _ old: any TensorSource) throws {
    #expect(Set(new.tensors.map(\.name)) == Set(old.tensors.map(\.name)))
    for tensor in old.tensors {
      let other = try #require(new.tensor(named: tensor.name))
      #expect(other.dtype == tensor.dtype && other.shape == tensor.shape, "\(tensor.name)")
      #expect(
        try new.load(other).bytes.array(of: UInt8.self)
          == old.load(tensor).bytes.array(of: UInt8.self), "\(tensor.name)")
    }
  }

  @Test func aFolderToAFolderAndToAFile() throws {
    let original = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    try SharedFiles.withTemporaryFolder { folder in
      let report = try CheckpointConversion.convert(
        original, toPath: folder + "/copy", maximumShardBytes: 500_000)
      #expect(report.byteCount == 1_443_072 && report.tensorCount == 21)
      let copy = try CheckpointOpener.open(folder + "/copy")
      try Self.expectSame(copy, original)
      #expect(copy.metadata.strings == original.metadata.strings)
      #expect(copy.metadata.companions.keys == original.metadata.companions.keys)

      let file = try CheckpointConversion.convert(copy, toPath: folder + "/one.safetensors")
      #expect(file.companionsLeftOut.contains("tokenizer.json"))
      let single = try CheckpointOpener.open(folder + "/one.safetensors")
      try Self.expectSame(single, original)
      #expect(single.metadata.strings == ["format": "pt"])
    }
  }

  @Test func throughHDF5AndBack() throws {
    let original = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    try SharedFiles.withTemporaryFolder { folder in
      let report = try CheckpointConversion.convert(original, toPath: folder + "/model.hdf5")
      #expect(report.companionsLeftOut.isEmpty)
      let middle = try CheckpointOpener.open(folder + "/model.hdf5")
      #expect(middle.format == "HDF5")
      try Self.expectSame(middle, original)
      #expect(middle.metadata.configuration == original.metadata.configuration)

      _ = try CheckpointConversion.convert(middle, toPath: folder + "/back")
      let back = try CheckpointOpener.open(folder + "/back")
      try Self.expectSame(back, original)
      #expect(back.metadata.strings == original.metadata.strings)
      #expect(back.metadata.companions.keys == original.metadata.companions.keys)
      for (name, path) in original.metadata.companions {
        #expect(
          FileManager.default.contentsEqual(atPath: path, andPath: folder + "/back/" + name))
      }
    }
  }

  /// Every type, a scalar, an empty tensor, nested names and texts that are awkward.
  @Test func everyTypeThroughHDF5() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var tensors = DType.allCases.map {
        TensorDescription(name: "group/\($0.rawValue)", dtype: $0, shape: [3, 5], storage: .empty)
      }
      tensors += [
        TensorDescription(name: "group/empty", dtype: .f16, shape: [4, 0], storage: .empty),
        TensorDescription(name: "scalar", dtype: .bf16, shape: [], storage: .empty),
        TensorDescription(name: "ü 日本.weight", dtype: .i16, shape: [1], storage: .empty),
      ]
      let strings = ["format": "pt", "note": "line\n\"quoted\" ü", "nothing": ""]
      let first = folder + "/first.safetensors"
      let sink = try SafetensorsSink(path: first, tensors: tensors, strings: strings)
      for (index, tensor) in tensors.enumerated() {
        try SafetensorsTests.bytes(tensor.byteCount, seed: index).withUnsafeBytes {
          try sink.write($0, to: tensor.name, at: 0)
        }
      }
      try sink.finish()
      let original = try CheckpointOpener.open(first)
      _ = try CheckpointConversion.convert(original, toPath: folder + "/middle.h5")
      let middle = try CheckpointOpener.open(folder + "/middle.h5")
      try Self.expectSame(middle, original)
      #expect(middle.metadata.strings == strings)
      _ = try CheckpointConversion.convert(middle, toPath: folder + "/second.safetensors")
      let second = try CheckpointOpener.open(folder + "/second.safetensors")
      try Self.expectSame(second, original)
      #expect(second.metadata.strings == strings)
      // The order survives too, as long as the tensors of a group are not apart.
      #expect(second.tensors.map(\.name) == original.tensors.map(\.name))
    }
  }

  /// A name that is a group's in HDF5 too, and others that no HDF5 path can be.
  @Test(arguments: [["a", "a/b"], [""], ["a//b"], ["/a"], ["."], ["a\u{0}b"]])
  func namesThatHDF5CannotHold(_ names: [String]) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/in.safetensors"
      let sink = try SafetensorsSink(
        path: path,
        tensors: names.map {
          TensorDescription(name: $0, dtype: .u8, shape: [0], storage: .empty)
        })
      try sink.finish()
      let source = try CheckpointOpener.open(path)
      let error = #expect(throws: CheckpointError.self) {
        try CheckpointConversion.convert(source, toPath: folder + "/out.h5")
      }
      #expect(error.map { "\($0)".hasPrefix(folder + "/out.h5: ") } == true)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["in.safetensors"])
    }
  }

  @Test func textsThatHDF5CannotHold() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/in.safetensors"
      try SafetensorsSink(path: path, tensors: [], strings: ["a": "b\u{0}c"]).finish()
      let source = try CheckpointOpener.open(path)
      #expect(
        throws: CheckpointError.output(
          path: folder + "/out.h5",
          .textNotPossible(key: "a", reason: "HDF5 texts end at a NUL"))
      ) { try CheckpointConversion.convert(source, toPath: folder + "/out.h5") }
    }
  }

  @Test func progressGrowsToTheEnd() throws {
    let original = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    try SharedFiles.withTemporaryFolder { folder in
      var last = 0
      var grows = true
      _ = try CheckpointConversion.convert(original, toPath: folder + "/out.safetensors") {
        grows = grows && $0.bytesDone > last && $0.bytesTotal == 1_443_072
        last = $0.bytesDone
      }
      #expect(grows && last == 1_443_072)
    }
  }

  static func convertStopping(_ source: any TensorSource, _ target: String) throws {
    _ = try CheckpointConversion.convert(source, toPath: target) {
      progress throws(CheckpointError) in
      if progress.tensorIndex == 5 { throw .missing(path: "stop") }
    }
  }

  @Test func anErrorMidwayLeavesNothing() throws {
    let original = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    try SharedFiles.withTemporaryFolder { folder in
      for name in ["out.safetensors", "out"] {
        #expect(throws: CheckpointError.missing(path: "stop")) {
          try Self.convertStopping(original, folder + "/" + name)
        }
      }
      let left = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(left.isEmpty)
    }
  }

  @Test(arguments: ["a.gguf", "a.bin", "a.keras", "config.json"]) func foreignEndings(
    _ name: String
  ) throws {
    let ending = String(name.split(separator: ".")[1])
    #expect(throws: CheckpointError.output(path: name, .formatNotWritten(ending: ending))) {
      try ConversionTarget(path: name)
    }
  }

  @Test func endings() throws {
    #expect(try ConversionTarget(path: "a/b.H5") == .hdf5)
    #expect(try ConversionTarget(path: "b.safetensors") == .safetensors)
    #expect(try ConversionTarget(path: "Llama-3.2-1B/") == .folder)
    #expect(try ConversionTarget(path: "folder") == .folder)
  }
}

@Suite struct TensorStatisticsTests {
  static func scan<Value: BitwiseCopyable>(
    _ values: [Value], _ dtype: DType
  ) throws -> TensorStatistics {
    try SharedFiles.withTemporaryFolder { folder in
      let tensor = TensorDescription(
        name: "a", dtype: dtype, shape: [values.count], storage: .empty)
      let sink = try SafetensorsSink(path: folder + "/a.safetensors", tensors: [tensor])
      try values.withUnsafeBytes { try sink.write($0, to: "a", at: 0) }
      try sink.finish()
      let source = try SafetensorsSource(path: folder + "/a.safetensors")
      return try TensorStatistics.scan(source, try #require(source.tensors.first))
    }
  }

  @Test func smallKnownValues() throws {
    let statistics = try Self.scan([2, 4, 4, 4, 5, 5, 7, 9, 0] as [Float], .f32)
    #expect(statistics.minimum == 0 && statistics.maximum == 9)
    #expect(abs(statistics.mean - 40.0 / 9) < 1e-14)
    #expect(abs(statistics.standardDeviation - (232.0 / 9 - 1600.0 / 81).squareRoot()) < 1e-13)
    #expect(statistics.zeroFraction == 1.0 / 9 && statistics.nonFiniteCount == 0)
  }

  @Test func notFiniteValuesAreCountedApart() throws {
    let statistics = try Self.scan([.nan, 1, .infinity, 3, -.infinity] as [Double], .f64)
    #expect(statistics.nonFiniteCount == 3 && statistics.count == 5)
    #expect(statistics.mean == 2 && statistics.standardDeviation == 1)
    #expect(statistics.minimum == 1 && statistics.maximum == 3)
    let none = try Self.scan([Float.nan], .f32)
    #expect(none.minimum == nil && none.standardDeviation == 0 && none.zeroFraction == 0)
    #expect(try Self.scan([Float](), .f32).count == 0)
  }

  /// Large offsets are where the textbook formula, mean of squares minus squared mean, fails.
  @Test func largeOffsetsKeepTheDeviation() throws {
    let values = (0..<200_000).map { 1e9 + Double($0 % 2) }
    let statistics = try Self.scan(values, .f64)
    #expect(abs(statistics.standardDeviation - 0.5) < 1e-9)
    let (sum, squares) = values.reduce((0.0, 0.0)) { ($0.0 + $1, $0.1 + $1 * $1) }
    let count = Double(values.count)
    let textbook = squares / count - (sum / count) * (sum / count)
    #expect(abs(textbook - 0.25) > 1e-3, "the plain variant would do")
  }

  @Test func wideIntegersKeepTheirDigits() throws {
    let statistics = try Self.scan([(1 << 40) + 1, (1 << 40) + 3] as [Int64], .i64)
    #expect(statistics.mean == Double((1 << 40) + 2))
    let small = try Self.scan([-3, 5] as [Int8], .i8)
    #expect(small.minimum == -3 && small.maximum == 5)
  }
}
