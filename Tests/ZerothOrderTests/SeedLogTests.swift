import Foundation
import TestSupport
import Testing

@testable import ZerothOrder

/// Logs that are no logs, or were damaged.
@Suite struct SeedLogTests {
  private let paths = TemporaryPaths()

  private func written(_ bytes: [UInt8]) throws -> String {
    let path = paths.next("zolog")
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func sound() throws -> (path: String, bytes: [UInt8]) {
    let path = paths.next("zolog")
    var options = Sample.options(steps: 2)
    options.learningRate = 1e-3
    options.epsilon = 1e-2
    options.clip = .none
    _ = try Tuning.run(Sample.inputs(heldOut: false), options: options, log: path)
    return (path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
  }

  @Test func optionsSurviveJSON() throws {
    for name in TuningOptions.names {
      var options = try #require(TuningOptions.named(name))
      options.seed = .max
      options.epsilon = 0.1
      #expect(TuningOptions(json: options.json) == options)
    }
    #expect(TuningOptions(json: ["steps": 1]) == nil)
  }

  @Test func damageIsNamed() throws {
    let (_, bytes) = try sound()
    let missing = paths.next("zolog")
    #expect(throws: ZerothOrderError.self) { _ = try SeedLog(path: missing) }
    let text = try written(Array("no log at all".utf8))
    #expect(throws: ZerothOrderError.notALog(path: text)) { _ = try SeedLog(path: text) }
    for length in [0, 7, 8, 11, 12, 40] {
      let path = try written(Array(bytes[..<length]))
      #expect(throws: ZerothOrderError.self) { _ = try SeedLog(path: path) }
    }
    // Every other prefix is a log with fewer steps.
    let whole = try SeedLog(path: try written(bytes))
    #expect(whole.steps.count == 2)
    #expect(whole.end != nil)
    for cut in 1..<120 {
      let path = try written(Array(bytes[..<(bytes.count - cut)]))
      guard let log = try? SeedLog(path: path) else { continue }
      #expect(log.steps.count <= 2 && log.end == nil)
      #expect(log.validBytes <= bytes.count - cut)
    }
    // A byte that is no record, and a header of no JSON.
    #expect(throws: ZerothOrderError.self) { _ = try SeedLog(path: try written(bytes + [7])) }
    var broken = bytes
    broken[12] = 0
    #expect(throws: ZerothOrderError.self) { _ = try SeedLog(path: try written(broken)) }
  }

  /// Any byte may be wrong: an error, or a log that reads, never a crash.
  @Test func randomDamage() throws {
    let (_, bytes) = try sound()
    for place in stride(from: 0, to: bytes.count, by: 13) {
      var damaged = bytes
      damaged[place] ^= 0xFF
      _ = try? SeedLog(path: try written(damaged))
    }
  }

  /// A slope that was changed is found out at the end.
  @Test func changedSlopesAreFoundOut() throws {
    let (path, bytes) = try sound()
    let log = try SeedLog(path: path)
    let hash = String(repeating: "0", count: 64)
    _ = try Tuning.replay(log, on: Sample.quantized(), path: "", hash: hash)
    // The last step's slope stands right before the end record of 69 bytes.
    var changed = bytes
    changed[bytes.count - 69 - 2] ^= 0x40
    let other = try SeedLog(path: try written(changed))
    #expect(throws: ZerothOrderError.self) {
      _ = try Tuning.replay(other, on: Sample.quantized(), path: "", hash: hash)
    }
  }
}
