import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("HDF5: writing")
struct HDF5WritingTests {
  static let tensors: [HDF5SinkTensor] = [
    HDF5SinkTensor(name: "z/large", dtype: .f32, shape: [300, 100]),
    HDF5SinkTensor(
      name: "a", dtype: .f16, shape: [7], attributes: ["unit": .string("m"), "n": .int(3)]),
    HDF5SinkTensor(name: "z/deep/bf", dtype: .bf16, shape: [3, 5]),
    HDF5SinkTensor(name: "mask", dtype: .bool, shape: [4]),
    HDF5SinkTensor(name: "scalar", dtype: .i64, shape: []),
    HDF5SinkTensor(name: "none", dtype: .f32, shape: [0, 4]),
    HDF5SinkTensor(name: "tied", dtype: .f32, shape: [300, 100], sharesStorageWith: "z/large"),
    HDF5SinkTensor(name: "e4", dtype: .f8e4m3, shape: [9]),
  ]

  static let attributes: [String: AttributeValue] = [
    "config": .string(String(repeating: "{}", count: 80_000)), "empty": .string(""),
    "version": .int(-1), "doubles": .doubles([0.5, .infinity]), "names": .strings(["ä", ""]),
    "ints": .ints([]),
  ]

  /// The bytes of a tensor: its number and their positions.
  static func payload(_ tensor: HDF5SinkTensor) -> [UInt8] {
    let seed = tensor.name.utf8.reduce(0) { $0 &* 31 &+ UInt8($1) }
    let count = tensor.shape.elementCount * tensor.dtype.bytes
    return (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) &+ seed }
  }

  func write(to path: String) throws {
    let sink = try HDF5Sink(path: path, tensors: Self.tensors, attributes: Self.attributes)
    for tensor in Self.tensors where tensor.sharesStorageWith == nil {
      let bytes = Self.payload(tensor)
      // In two parts, the second first.
      let middle = bytes.count / 2
      try bytes.withUnsafeBytes {
        try sink.write(.init(rebasing: $0[middle...]), to: tensor.name, at: middle)
        try sink.write(.init(rebasing: $0[..<middle]), to: tensor.name, at: 0)
      }
    }
    try sink.finish()
  }

  @Test("What was written is read again, in the same order, aligned")
  func roundTrip() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/out.h5"
      try write(to: path)
      let file = try HDF5File(path: path)
      #expect(file.root.attributes == Self.attributes)
      #expect(
        file.tensors.map(\.name) == [
          "z/large", "z/deep/bf", "a", "mask", "scalar", "none", "e4", "tied",
        ])
      for tensor in Self.tensors where tensor.sharesStorageWith == nil {
        let found = try #require(file.tensors.first { $0.name == tensor.name })
        #expect(found.dtype == tensor.dtype)
        #expect(found.shape == tensor.shape)
        #expect(found.attributes == tensor.attributes)
        guard case .contiguous(_, let offset) = found.storage else {
          #expect(found.storage == .empty)
          continue
        }
        let bytes = try #require(try file.mapped(found)).array(of: UInt8.self)
        #expect(bytes == Self.payload(tensor))
        if found.byteCount >= 65536 { #expect(offset % 4096 == 0, "\(found.name)") }
        if found.byteCount >= 64 { #expect(offset % 64 == 0, "\(found.name)") }
      }
      let tied = try #require(file.tensors.first { $0.name == "tied" })
      #expect(tied.sharesStorageWith == "z/large")
    }
  }

  @Test("The same tree gives the same bytes")
  func deterministic() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try write(to: folder + "/1.h5")
      // Another second and something else in between, so that times and leftover memory would show.
      usleep(1_100_000)
      _ = try HDF5Sink(
        path: folder + "/x.h5", tensors: [HDF5SinkTensor(name: "q", dtype: .u8, shape: [99])],
        attributes: ["noise": .string(String(repeating: "noise", count: 9999))])
      try write(to: folder + "/2.h5")
      let first = try #require(FileManager.default.contents(atPath: folder + "/1.h5"))
      #expect(FileManager.default.contents(atPath: folder + "/2.h5") == first)
      // The sink that was dropped left nothing.
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["1.h5", "2.h5"])
    }
  }

  @Test("Names that collide or cannot be are refused before the target is touched")
  func names() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/out.h5"
      func problem(_ names: [String]) -> HDF5Problem? {
        do {
          _ = try HDF5Sink(
            path: path, tensors: names.map { HDF5SinkTensor(name: $0, dtype: .f32, shape: [1]) })
          return nil
        } catch .hdf5(_, let problem) { return problem } catch { return nil }
      }
      #expect(problem(["a/b", "a"]) == .conflictingNames("a"))
      #expect(problem(["a", "a/b"]) == .conflictingNames("a/b"))
      #expect(problem(["a", "a"]) == .conflictingNames("a"))
      #expect(problem(["a//b"]) == .cannotName("a//b"))
      #expect(problem(["./b"]) == .cannotName("."))
      let left = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(left.isEmpty)
    }
  }

  @Test("Many tensors and large attributes")
  func large() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/out.h5"
      let many = (0..<600).map { HDF5SinkTensor(name: "t\($0)", dtype: .u8, shape: [$0 + 1]) }
      let doubles = (0..<20_000).map(Double.init)
      let sink = try HDF5Sink(path: path, tensors: many, attributes: ["d": .doubles(doubles)])
      try sink.finish()
      let file = try HDF5File(path: path)
      #expect(file.tensors.map(\.name) == many.map(\.name))
      #expect(file.root.attributes["d"] == .doubles(doubles))
    }
  }
}
