import Foundation

/// A Python program of Benchmarks/Peers that answers a line with a line, so that both sides can be
/// measured in turn while both have their models in memory.
final class Peer {
  /// The first line: what the peer says when it is ready.
  let greeting: String
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var buffered = Data()

  /// Wall seconds, processor seconds and a number to compare results by.
  struct Reply {
    let wall: Double
    let processor: Double
    let value: Double
  }

  /// nil, and a line on the console, where the peer cannot be had.
  init?(python: String?, script: String, arguments: [String]) throws {
    guard let python else { return nil }
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Peers/\(script)").path
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = [path] + arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var first = Data()
    guard let line = Peer.line(from: output, buffered: &first) else {
      print("  (\(script) did not start: its packages are missing in \(python))")
      return nil
    }
    greeting = line
    buffered = first
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Asks for one measurement.
  func ask(_ command: String) throws -> Reply {
    try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    let words = Peer.line(from: output, buffered: &buffered)?.split(separator: " ") ?? []
    let numbers = words.compactMap { Double($0) }
    guard numbers.count == 3 else { throw POSIXError(.EPIPE) }
    return Reply(wall: numbers[0], processor: numbers[1], value: numbers[2])
  }

  private static func line(from pipe: Pipe, buffered: inout Data) -> String? {
    while true {
      if let end = buffered.firstIndex(of: 10) {
        let line = String(bytes: buffered[..<end], encoding: .utf8)
        buffered = Data(buffered[(end + 1)...])
        return line
      }
      let more = pipe.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      buffered += more
    }
  }
}

/// Wall and processor seconds of one measured closure or of the median of several.
struct Taken {
  var wall: Double
  var processor: Double

  static func by(_ body: () throws -> Void) rethrows -> Taken {
    let start = ContinuousClock.now
    let ticks = clock()
    try body()
    return Taken(
      wall: (ContinuousClock.now - start).inSeconds,
      processor: Double(clock() - ticks) / Double(CLOCKS_PER_SEC))
  }

  static func median(_ all: [Taken]) -> Taken {
    func middle(_ figure: KeyPath<Taken, Double>) -> Double {
      let sorted = all.map { $0[keyPath: figure] }.sorted()
      return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
    }
    return Taken(wall: middle(\.wall), processor: middle(\.processor))
  }
}
