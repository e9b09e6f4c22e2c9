import Tensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct GGUFTests {
  /// Every type of block against the `gguf` package's decoder (fixtures/make_gguf.py).
  @Test func blocksDecodeAsTheyDoElsewhere() throws {
    let blocks = try GGUFCheckpoint(path: SharedFiles.fixture("gguf/blocks.gguf"))
    let expected = try SafetensorsSource(path: SharedFiles.fixture("gguf/blocks.safetensors"))
    #expect(blocks.tensors.count == GGUFBlockType.allCases.count)
    for tensor in blocks.tensors {
      let values = try blocks.load(tensor).floats()
      let reference = try #require(expected.tensor(named: tensor.name))
      let known = try expected.load(reference).floats()
      let scale = known.reduce(0) { max($0, abs($1)) }
      #expect(values.count == known.count)
      // Theirs multiplies in another order: a rounding of the last bits.
      for (value, other) in zip(values, known) { #expect(abs(value - other) <= scale * 4e-7) }
    }
  }

  @Test func rowsAreReadOneByOne() throws {
    let blocks = try GGUFCheckpoint(path: SharedFiles.fixture("gguf/blocks.gguf"))
    let tensor = try #require(blocks.tensor(named: "t.q4_k"))
    let all = try blocks.load(tensor).floats()
    let row = try Bytes(count: tensor.rowByteCount) { target in
      try blocks.read(tensor, rows: 2..<3, into: target)
    }
    #expect(row.array(of: Float.self) == Array(all[1024...]))
  }

  @Test func writesWhatItReads() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/x.gguf"
      let metadata: [(key: String, value: GGUFValue)] = [
        ("general.architecture", .string("llama")), ("a", .u32(7)), ("b", .f32(0.5)),
        ("c", .strings(["x", "yy"])), ("d", .integers([1, -2])), ("e", .bool(true)),
        ("f", .array(type: 8, [])),
      ]
      let entries = [
        GGUFSink.Entry(name: "v", shape: [3], type: .f32),
        GGUFSink.Entry(name: "m", shape: [2, 32], type: .q8v0),
      ]
      let sink = try GGUFSink(path: path, metadata: metadata, tensors: entries)
      let vector = Bytes([Float(1), 2, 3])
      let matrix = Bytes((0..<68).map { UInt8($0) })
      try vector.withBuffer { bytes throws(CheckpointError) in
        try sink.write(bytes, to: "v", at: 0)
      }
      try matrix.withBuffer { bytes throws(CheckpointError) in
        try sink.write(bytes, to: "m", at: 0)
      }
      try sink.finish()
      let file = try GGUFFile(path: path)
      #expect(file.metadata.map(\.key) == metadata.map(\.key))
      #expect(file.metadata.map(\.value) == metadata.map(\.value))
      #expect(file.entries.map(\.name) == ["v", "m"])
      #expect(try file.mapped(file.entries[0]).array(of: Float.self) == [1, 2, 3])
      #expect(try file.mapped(file.entries[1]).array(of: UInt8.self) == (0..<68).map { UInt8($0) })
    }
  }

  @Test func aSinkWithoutAllItsBytesLeavesNothing() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let sink = try GGUFSink(
        path: folder + "/x.gguf", metadata: [],
        tensors: [GGUFSink.Entry(name: "v", shape: [3], type: .f32)])
      #expect(throws: CheckpointError.self) { try sink.finish() }
      #expect(FileIO.kind(of: folder + "/x.gguf") == .missing)
    }
  }

  /// A file cut anywhere, or with any byte of its header changed, gives an error or is read.
  @Test func damagedFilesAreRefused() throws {
    let file = try ReadOnlyFile(path: SharedFiles.fixture("gguf/blocks.gguf"))
    let whole = try file.bytes(0..<file.size)
    try SharedFiles.withTemporaryFolder { folder in
      var refused = 0
      for length in stride(from: 0, to: whole.count - 32, by: 97) {
        let path = folder + "/cut.gguf"
        try ReplacementFile.write(Array(whole[0..<length]), to: path)
        #expect(throws: CheckpointError.self) { try GGUFCheckpoint(path: path) }
      }
      for index in 0..<min(900, whole.count) {
        var changed = whole
        changed[index] ^= UInt8(truncatingIfNeeded: 0x81 + index)
        let path = folder + "/changed.gguf"
        try ReplacementFile.write(changed, to: path)
        do {
          let source = try GGUFCheckpoint(path: path)
          for tensor in source.tensors { _ = try source.load(tensor) }
        } catch is CheckpointError { refused += 1 }
      }
      #expect(refused > 100)
    }
  }
}
