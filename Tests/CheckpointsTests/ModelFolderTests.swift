import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct ModelFolderTests {
  @Test func aFolderWithItsCompanions() throws {
    let folder = SharedFiles.fixture("nanollama")
    let source = try CheckpointOpener.open(folder)
    #expect(source.path == folder)
    #expect(source.format == "safetensors")
    #expect(source.tensors.count == 21)
    #expect(source.metadata.companions["tokenizer.json"] == folder + "/tokenizer.json")
    #expect(try source.metadata.companionText(named: "config.json")?.contains("llama") == true)
    #expect(try source.metadata.companionText(named: "merges.txt") == nil)
  }

  @Test(arguments: [200_000, 600_000, 10_000_000]) func shards(_ maximumShardBytes: Int) throws {
    let original = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/sharded"
      let sink = try ModelFolderSink(
        path: path, tensors: original.tensors, metadata: original.metadata,
        maximumShardBytes: maximumShardBytes)
      for tensor in original.tensors {
        let bytes = try original.load(tensor).bytes
        try withExtendedLifetime(bytes) { try sink.write(bytes.buffer, to: tensor.name, at: 0) }
      }
      #expect(!FileManager.default.fileExists(atPath: path))
      try sink.finish()
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["sharded"])

      let source = try CheckpointOpener.open(path)
      #expect(source.tensors.map(\.name) == original.tensors.map(\.name))
      #expect(source.metadata.strings == original.metadata.strings)
      for tensor in source.tensors {
        let old = try #require(original.tensor(named: tensor.name))
        #expect(
          try source.load(tensor).bytes.array(of: UInt8.self)
            == original.load(old).bytes.array(of: UInt8.self))
      }
      for (name, file) in original.metadata.companions {
        #expect(
          FileManager.default.contentsEqual(atPath: file, andPath: path + "/" + name), "\(name)")
      }
      let files = try FileManager.default.contentsOfDirectory(atPath: path)
      let shards = files.filter { $0.hasSuffix(".safetensors") }.sorted()
      #expect((shards.count == 1) == (maximumShardBytes == 10_000_000))
      if shards.count > 1 {
        let index = try String(
          contentsOfFile: path + "/model.safetensors.index.json", encoding: .utf8)
        #expect(index.contains("\"total_size\": 1443072"))
        #expect(shards.first?.hasPrefix("model-00001-of-0000") == true)
      } else {
        #expect(shards == ["model.safetensors"])
      }
    }
  }

  @Test(arguments: ["small.h5", "small.keras", "small.weights.h5"]) func keras(
    _ name: String
  ) throws {
    let source = try CheckpointOpener.open(SharedFiles.fixture("keras/" + name))
    #expect(source.format.hasPrefix("Keras"))
    try SharedFiles.withTemporaryFolder { folder in
      // The content decides, not the name.
      let path = folder + "/model.safetensors"
      try FileManager.default.copyItem(atPath: SharedFiles.fixture("keras/" + name), toPath: path)
      #expect(try CheckpointOpener.open(path).format == source.format)
      #expect(try CheckpointOpener.open(folder).format == source.format)
      _ = try CheckpointConversion.convert(source, toPath: folder + "/out")
      try ConversionTests.expectSame(try CheckpointOpener.open(folder + "/out"), source)
      _ = try CheckpointConversion.convert(source, toPath: folder + "/out.h5")
      try ConversionTests.expectSame(try CheckpointOpener.open(folder + "/out.h5"), source)
    }
  }

  @Test func whatIsNoTensorIsSaid() throws {
    let source: any TensorSource = try CheckpointOpener.open(
      SharedFiles.fixture("nanollama/model.h5"))
    #expect(source.skipped.isEmpty && source.tensors.count == 21)
    let hostile: any TensorSource = try CheckpointOpener.open(
      SharedFiles.fixture("hostile/hdf5_texts.h5"))
    #expect(!hostile.skipped.isEmpty)
  }

  @Test func aFolderThatIsNotEmptyIsLeftAlone() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try Data("mine".utf8).write(to: URL(fileURLWithPath: folder + "/notes.txt"))
      #expect(throws: CheckpointError.output(path: folder, .folderNotEmpty)) {
        try ModelFolderSink(path: folder, tensors: [])
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["notes.txt"])
    }
  }

  @Test func aDroppedSinkLeavesNothing() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let tensor = TensorDescription(name: "a", dtype: .u8, shape: [100], storage: .empty)
      do {
        let sink = try ModelFolderSink(path: folder + "/out", tensors: [tensor])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 1)
        #expect(throws: CheckpointError.self) { try sink.finish() }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
