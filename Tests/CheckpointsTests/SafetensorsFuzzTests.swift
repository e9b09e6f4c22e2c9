import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Damaged files open or throw; they never end the process and never hand out foreign bytes.
@Suite struct SafetensorsFuzzTests {
  /// SplitMix64, so that a failure can be repeated from its seed.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
      return mixed ^ mixed >> 31
    }
  }

  static func sample() -> [UInt8] {
    let header =
      #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#
      + #""b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"#
      + #""c":{"dtype":"I64","shape":[0,5],"data_offsets":[26,26]},"#
      + #""d":{"dtype":"U8","shape":[6],"data_offsets":[26,32]}}"#
    let length = UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array(header.utf8)
      + (0..<32).map { UInt8($0) }
  }

  static func mutate(_ bytes: [UInt8], with generator: inout Generator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      let place = Int.random(in: 0..<max(1, bytes.count), using: &generator)
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + 9))
      case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 20)], at: place)
      case 4: bytes[place] = Array("0123456789-[]{}\",:".utf8).randomElement(using: &generator) ?? 0
      case 5, 6:
        // The data, or a digit of a shape or an offset: what is wrong then is not the syntax.
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        if place > bytes.count / 2 {
          bytes[bytes.count - 1 - place % 32] = 255
        } else if let digit = bytes[place...].firstIndex(where: digits.contains) {
          bytes[digit] = digits.randomElement(using: &generator) ?? 0
        }
      default: bytes.removeLast(min(bytes.count, Int.random(in: 1...40, using: &generator)))
      }
      if bytes.isEmpty { return bytes }
    }
    return bytes
  }

  @Test func fiveHundredMutations() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/fuzz.safetensors"
      var opened = 0
      for seed in 0..<500 {
        var generator = Generator(state: UInt64(seed))
        let bytes = Self.mutate(Self.sample(), with: &generator)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        do {
          let source = try CheckpointOpener.open(path)
          opened += 1
          for tensor in source.tensors {
            let loaded = try source.load(tensor)
            #expect(loaded.bytes.count == tensor.byteCount, "seed \(seed)")
          }
        } catch let error as CheckpointError {
          #expect("\(error)".hasPrefix(path), "seed \(seed): \(error)")
        }
      }
      // The mutations are neither all harmless nor all fatal.
      #expect(opened > 20 && opened < 480, "\(opened) of 500 opened")
    }
  }
}
