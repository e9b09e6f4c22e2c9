import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  static let types: [DType] = DType.allCases

  /// A tensor of a type with bytes that tell its place apart.
  static func bytes(_ count: Int, seed: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed &* 17 &+ $0 >> 8) }
  }

  @Test func everyTypeShapeAndNameComesBack() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/all.safetensors"
      // An odd number of u8 first: what follows lies at odd offsets, which is legal.
      var tensors = [TensorDescription(name: "odd", dtype: .u8, shape: [3], storage: .empty)]
      tensors += Self.types.map {
        TensorDescription(name: "type \($0.rawValue)", dtype: $0, shape: [3, 5], storage: .empty)
      }
      tensors += [
        TensorDescription(name: "scalar", dtype: .f64, shape: [], storage: .empty),
        TensorDescription(name: "empty", dtype: .f16, shape: [4, 0, 2], storage: .empty),
        TensorDescription(name: "a/b \"ü\" \\ \u{1} 日本", dtype: .i16, shape: [1], storage: .empty),
        TensorDescription(name: "", dtype: .i8, shape: [2], storage: .empty),
      ]
      let strings = ["format": "pt", "note": "a \"quoted\"\nline", "": ""]
      let sink = try SafetensorsSink(path: path, tensors: tensors, strings: strings)
      for (index, tensor) in tensors.enumerated() {
        try Self.bytes(tensor.byteCount, seed: index).withUnsafeBytes {
          try sink.write($0, to: tensor.name, at: 0)
        }
      }
      #expect(!FileManager.default.fileExists(atPath: path))
      try sink.finish()

      let source = try SafetensorsSource(path: path)
      #expect(source.metadata.strings == strings)
      #expect(source.tensors.map(\.name) == tensors.map(\.name))
      for (index, tensor) in source.tensors.enumerated() {
        #expect(tensor.dtype == tensors[index].dtype && tensor.shape == tensors[index].shape)
        let expected = Self.bytes(tensor.byteCount, seed: index)
        #expect(try source.load(tensor).bytes.array(of: UInt8.self) == expected)
        #expect(try Self.rows(source, tensor) == expected, "\(tensor.name) by rows")
        #expect(try Self.chunks(source, tensor) == expected, "\(tensor.name) by chunks")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["all.safetensors"])
    }
  }

  /// The tensor read one row at a time.
  static func rows(_ source: any TensorSource, _ tensor: TensorDescription) throws -> [UInt8] {
    try (0..<tensor.shape.rows).flatMap { row in
      var part = [UInt8](repeating: 0, count: tensor.rowByteCount)
      try part.withUnsafeMutableBytes { try source.read(tensor, rows: row..<row + 1, into: $0) }
      return part
    }
  }

  /// The tensor read in pieces of 16 bytes, which must come in order.
  static func chunks(_ source: any TensorSource, _ tensor: TensorDescription) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var ordered = true
    try source.forEachChunk(of: tensor, maximumBytes: 16) { chunk, offset in
      ordered = ordered && offset == bytes.count && chunk.count <= 16
      bytes += Array(chunk)
    }
    return ordered ? bytes : []
  }

  @Test func theHeaderIsAFunctionOfTheContent() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let tensor = TensorDescription(name: "a", dtype: .f32, shape: [1], storage: .empty)
      let contents = try (0..<2).map { run in
        let path = folder + "/\(run).safetensors"
        let sink = try SafetensorsSink(
          path: path, tensors: [tensor], strings: ["z": "1", "b": "2", "m": "3"])
        try [UInt8](repeating: 7, count: 4).withUnsafeBytes { try sink.write($0, to: "a", at: 0) }
        try sink.finish()
        return try Data(contentsOf: URL(fileURLWithPath: path))
      }
      let header =
        #"{"__metadata__":{"b":"2","m":"3","z":"1"},"#
        + #""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
      let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
      #expect(contents[0] == contents[1])
      #expect(contents[0].dropFirst(8) == Data(padded.utf8) + Data([7, 7, 7, 7]))
      #expect(contents[0][0] == UInt8(padded.utf8.count))
    }
  }

  @Test func aSinkThatIsDroppedLeavesTheOldFile() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/old.safetensors"
      try Data("old".utf8).write(to: URL(fileURLWithPath: path))
      let tensor = TensorDescription(name: "a", dtype: .u8, shape: [100], storage: .empty)
      do {
        let sink = try SafetensorsSink(path: path, tensors: [tensor])
        try [UInt8](repeating: 1, count: 50).withUnsafeBytes { try sink.write($0, to: "a", at: 0) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
        #expect(
          throws: CheckpointError.output(
            path: path, .tensorIncomplete(tensor: "a", written: 50, expected: 100))
        ) { try sink.finish() }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["old.safetensors"])
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
    }
  }

  @Test func impossibleOutputs() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/out.safetensors"
      func open(_ tensors: [(String, Shape)]) throws {
        _ = try SafetensorsSink(
          path: path,
          tensors: tensors.map { name, shape in
            TensorDescription(name: name, dtype: .f32, shape: shape, storage: .empty)
          })
      }
      #expect(throws: CheckpointError.self) { try open([("__metadata__", [1])]) }
      #expect(
        throws: CheckpointError.output(
          path: path, .nameNotPossible(tensor: "a", reason: "it is given twice"))
      ) { try open([("a", [1]), ("a", [1])]) }
      // A petabyte fits on no disk that a test runs on; the answer comes before any work.
      do {
        try open([("a", [1 << 48])])
        Issue.record("reserved a petabyte")
      } catch let error as CheckpointError {
        switch error {
        case .diskFull(path, let needed, let available): #expect(needed > available)
        case .cannotWrite(path, _): break  // the file system's own limit of a file's size
        default: Issue.record("\(error)")
        }
      }
      let missing = folder + "/no/such/folder/out.safetensors"
      #expect(throws: CheckpointError.self) { try SafetensorsSink(path: missing, tensors: []) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func theRealModel() throws {
    let source = try SafetensorsSource(path: SharedFiles.fixture("nanollama/model.safetensors"))
    #expect(source.tensors.count == 21)
    #expect(source.metadata.strings == ["format": "pt"])
    #expect(source.metadata.configuration?.contains("LlamaForCausalLM") == true)
    #expect(
      source.metadata.companions.keys.sorted() == [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
      ])
    let head = try #require(source.tensor(named: "lm_head.weight"))
    #expect(head.shape == [2048, 64] && head.dtype == .f32)
    let all = try source.load(head).floats()
    var some = [Float](repeating: 0, count: 3 * 64)
    try some.withUnsafeMutableBytes { try source.read(head, rows: 100..<103, into: $0) }
    #expect(some == Array(all[100 * 64..<103 * 64]))
    #expect(all.contains { $0 != 0 } && all.allSatisfy { $0.isFinite })
  }
}
