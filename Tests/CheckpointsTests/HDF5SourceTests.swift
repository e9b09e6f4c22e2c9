import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("HDF5: as a checkpoint")
struct HDF5SourceTests {
  @Test("Threads may read compressed and plain tensors at once, and write at once")
  func threads() throws {
    let source = try HDF5Source(path: SharedFiles.fixture("hdf5/layouts.h5"))
    let names = ["gzip", "chunked", "contiguous", "shuffled", "big_gzip", "compact"]
    let expected = (0..<600).map { Float(ramp($0)) }
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/out.h5"
      let sink = try HDF5Sink(
        path: path,
        tensors: (0..<24).map { HDF5SinkTensor(name: "t/\($0)", dtype: .f32, shape: [50, 12]) })
      DispatchQueue.concurrentPerform(iterations: 24) { index in
        do {
          let tensor = try #require(source.tensor(named: names[index % names.count]))
          let bytes = try source.load(tensor).bytes
          #expect(bytes.array(of: Float.self) == expected)
          try withExtendedLifetime(bytes) {
            try sink.write(bytes.buffer, to: "t/\(index)", at: 0)
          }
        } catch { Issue.record(error) }
      }
      try sink.finish()
      let written = try HDF5Source(path: path)
      for tensor in written.tensors {
        #expect(try written.load(tensor).bytes.array(of: Float.self) == expected)
      }
    }
  }

  @Test("A file that shrank since it was opened is noticed")
  func shrinking() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/model.h5"
      try FileManager.default.copyItem(
        atPath: SharedFiles.fixture("hdf5/layouts.h5"), toPath: path)
      let source = try HDF5Source(path: path)
      truncate(path, 3000)
      for name in ["contiguous", "gzip"] {
        let tensor = try #require(source.tensor(named: name))
        #expect(throws: CheckpointError.changedWhileOpen(path: path)) {
          try source.load(tensor)
        }
      }
    }
  }

  @Test("Texts, configuration and sibling files")
  func metadata() throws {
    let path = SharedFiles.fixture("hdf5/attributes.h5")
    let source = try HDF5Source(path: path)
    #expect(source.metadata.configuration == #"{"model_type": "nothing"}"#)
    #expect(source.metadata.strings["text"] == "grüße")
    #expect(source.metadata.companions.isEmpty)
    try SharedFiles.withTemporaryFolder { folder in
      try FileManager.default.copyItem(
        atPath: SharedFiles.fixture("hdf5/layouts.h5"), toPath: folder + "/model.h5")
      for name in ["config.json", "tokenizer.json", "notes.txt"] {
        try Data("{}".utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
      }
      let sibling = try HDF5Source(path: folder + "/model.h5").metadata
      #expect(sibling.configuration == "{}")
      #expect(sibling.companions.keys.sorted() == ["config.json", "tokenizer.json"])
      #expect(try sibling.companionText(named: "config.json") == "{}")
    }
  }

  @Test(
    "A real model opens, every tensor mapped",
    .enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"))
  func realModel() throws {
    let shared = try #require(SharedFiles.shared)
    let source = try HDF5Checkpoint.open(path: shared + "/models/nanollama/model.h5")
    #expect(source.format == "HDF5")
    #expect(source.tensors.reduce(0) { $0 + $1.shape.elementCount } == 360_768)
    #expect(try source.tensors.allSatisfy { try source.mapped($0) != nil })
    #expect(source.metadata.companions["tokenizer.json"] != nil)
  }
}
