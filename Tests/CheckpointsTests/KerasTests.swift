import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Keras: every form in which it saves a model")
struct KerasTests {
  static let forms = ["small.weights.h5", "small.h5", "small.keras", "deflated.keras"]

  static func open(_ name: String) throws -> any TensorSource {
    try HDF5Checkpoint.open(path: SharedFiles.fixture("keras/" + name))
  }

  @Test("The same values in every form", arguments: forms)
  func values(form: String) throws {
    let source = try Self.open(form)
    #expect(source.format.hasPrefix("Keras"))
    #expect(source.tensors.count == 32)
    for tensor in source.tensors {
      let values = try source.load(tensor).bytes.array(of: Float.self)
      #expect(values == (0..<tensor.shape.elementCount).map { Float(ramp($0)) }, "\(tensor.name)")
    }
    #expect((source.metadata.configuration != nil) == (form != "small.weights.h5"))
  }

  /// Tensors by a name that all forms share: the layer's, and the kernel's shape.
  static func layouts(_ source: any TensorSource) -> [String: String] {
    var found: [String: String] = [:]
    for tensor in source.tensors where tensor.shape.rank >= 2 {
      let axes = tensor.attributes["output_axes"]?.ints.map { " \($0)" } ?? ""
      found["\(tensor.shape)", default: ""] +=
        (tensor.attributes["layout"]?.string ?? tensor.attributes["role"]?.string ?? "-") + axes
        + ";"
    }
    return found
  }

  static let expected = [
    "20 × 10": "embedding;",
    "10 × 2 × 5": String(repeating: "output_axes [1, 2];", count: 3), "2 × 5": "-;-;-;",
    "2 × 5 × 10": "outputs_last;", "10 × 28": "outputs_last;", "7 × 28": "outputs_last;",
    "3 × 2 × 3 × 4": "outputs_last;", "3 × 3 × 4 × 1": "-;", "2 × 2 × 4 × 1": "-;",
    "1 × 1 × 4 × 5": "outputs_last;", "67 × 6": "outputs_last;", "6 × 5": "outputs_last;",
    "5 × 4": "outputs_last;", "4 × 3": "outputs_last;",
  ]

  @Test("Kernels whose last axis is the outputs", arguments: ["small.h5", "small.keras"])
  func layouts(form: String) throws {
    #expect(Self.layouts(try Self.open(form)) == Self.expected)
  }

  @Test("Without a configuration, an equation is not known and stays out")
  func weightsAlone() throws {
    var expected = Self.expected
    expected["5 × 4"] = "-;"
    #expect(Self.layouts(try Self.open("small.weights.h5")) == expected)
  }

  @Test("A stored archive is read in place, a deflated one from a file that leaves nothing")
  func places() throws {
    let stored = try Self.open("small.keras")
    let tensor = try #require(stored.tensors.first { $0.name == "layers/dense/vars/0" })
    guard case .contiguous(let file, let offset) = tensor.storage else {
      Issue.record("\(tensor.storage)")
      return
    }
    let archive = try #require(FileManager.default.contents(atPath: file))
    let bytes = try stored.load(tensor).bytes.array(of: UInt8.self)
    #expect([UInt8](archive[offset..<offset + tensor.byteCount]) == bytes)
    let deflated = try Self.open("deflated.keras")
    #expect(try deflated.mapped(tensor)?.array(of: UInt8.self) == bytes)
  }

  @Test("Damaged archives are refused, whatever byte is wrong")
  func damaged() throws {
    let path = SharedFiles.fixture("keras/deflated.keras")
    let sound = [UInt8](try #require(FileManager.default.contents(atPath: path)))
    try SharedFiles.withTemporaryFolder { folder in
      func refusal(_ bytes: [UInt8]) throws -> CheckpointError? {
        let path = folder + "/damaged.keras"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        do {
          _ = try KerasSource(path: path, limits: HDF5Limits(seconds: 1))
          return nil
        } catch {
          #expect(error.description.count > 40)
          return error
        }
      }
      #expect(
        try refusal(Array(sound.dropLast()))
          == .archive(path: folder + "/damaged.keras", .noDirectory))
      #expect(try refusal(Array(sound.prefix(100))) != nil)
      #expect(try refusal([0x50, 0x4B, 3, 4]) != nil)
      var generator = HDF5FuzzTests.Generator(state: 5)
      var refused = 0
      for _ in 0..<100 {
        var bytes = sound
        bytes[Int.random(in: bytes.indices, using: &generator)] ^=
          1
          << UInt8.random(
            in: 0..<8, using: &generator)
        if try refusal(bytes) != nil { refused += 1 }
      }
      // Dates and attributes may be anything; the data's checksums cover the most.
      #expect(refused > 70)
    }
  }
}
