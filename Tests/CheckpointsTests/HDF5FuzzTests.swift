import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("HDF5: random damage")
struct HDF5FuzzTests {
  /// A small generator with a fixed seed (SplitMix64), so that every run damages the same bytes.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var bits = state
      bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
      return bits ^ bits >> 31
    }
  }

  @Test(
    "Every damaged file is read or refused, in bounded time",
    arguments: ["layouts", "types", "v110", "user_block"])
  func damaged(name: String) throws {
    let sound = try #require(
      FileManager.default.contents(atPath: SharedFiles.fixture("hdf5/\(name).h5")))
    var generator = Generator(state: UInt64(name.utf8.count))
    var refused = 0
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/damaged.h5"
      for _ in 0..<50 {
        var bytes = [UInt8](sound)
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
          // Half of the damage where the objects' headers are.
          let range = Bool.random(using: &generator) ? 0..<min(4096, bytes.count) : bytes.indices
          let position = Int.random(in: range, using: &generator)
          bytes[position] =
            Bool.random(using: &generator)
            ? 0xFF : UInt8.random(in: .min ... .max, using: &generator)
        }
        if Int.random(in: 0..<10, using: &generator) == 0 {
          bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        do {
          try readAll(path, seconds: 0.4)
        } catch let error as CheckpointError {
          refused += 1
          #expect(error.description.hasPrefix(path))
        }
      }
    }
    // The damage has power: a good part of the files cannot be read.
    #expect(refused >= 10)
  }
}
