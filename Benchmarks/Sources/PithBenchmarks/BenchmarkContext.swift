import Foundation
import Pith

/// What the benchmarks share: the program, a folder for large files, a peer.
final class BenchmarkContext {
  let pith: String
  let folder: String
  /// A Python with h5py and numpy, nil when there is none.
  let python: String?
  /// The folder that PITH_BENCH_MODEL names, nil when it names none.
  let model = ProcessInfo.processInfo.environment["PITH_BENCH_MODEL"]

  init(pith: String) throws {
    self.pith = URL(fileURLWithPath: pith).path
    let parent = ProcessInfo.processInfo.environment["PITH_BENCH_FOLDER"] ?? NSTemporaryDirectory()
    folder = parent + "/pith-bench-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let candidate = ProcessInfo.processInfo.environment["PITH_BENCH_PYTHON"] ?? "/usr/bin/python3"
    let probe = try? Measured.run([candidate, "-c", "import h5py, numpy"])
    python = probe?.status == 0 ? candidate : nil
    if python == nil { print("(no Python with h5py: peers are left out; set PITH_BENCH_PYTHON)") }
  }

  func cleanUp() { try? FileManager.default.removeItem(atPath: folder) }

  /// An HDF5 model of random f32 matrices, made once for each size.
  func model(mebibytes: Int, tensors: Int) throws -> String {
    let path = folder + "/model-\(mebibytes).h5"
    guard !FileManager.default.fileExists(atPath: path) else { return path }
    let columns = 2048
    let rows = mebibytes << 20 / (tensors * columns * 4)
    let names = (0..<tensors).map { "model.layers.\($0).mlp.up_proj.weight" }
    let output = try CheckpointWriter.open(
      path: path,
      tensors: names.map {
        TensorDescription(name: $0, dtype: .f32, shape: Shape([rows, columns]), storage: .empty)
      },
      metadata: CheckpointMetadata())
    let values = Philox(seed: 1).normals(count: rows * columns, purpose: .sketch)
    for name in names {
      try values.withUnsafeBytes { try output.sink.write($0, to: name, at: 0) }
    }
    try output.sink.finish()
    return path
  }
}

/// One finished process and what it took.
struct Measured {
  var status: Int32
  var wall: Double
  /// User and system time in seconds.
  var processor: Double
  var peakBytes: Int

  /// Runs a command to its end, its output thrown away.
  static func run(_ command: [String]) throws -> Measured {
    let start = ContinuousClock.now
    var pid = pid_t()
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor: Int32 in [1, 2] {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
    }
    let code = posix_spawn(&pid, command[0], &actions, nil, arguments, environ)
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .ENOENT) }
    var status: Int32 = 0
    var usage = rusage()
    wait4(pid, &status, 0, &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return Measured(
      status: status >> 8 & 0xFF, wall: (ContinuousClock.now - start).inSeconds,
      processor: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      peakBytes: Int(usage.ru_maxrss) * 1024)
  }

  /// The median of a figure over several runs, after one that does not count.
  static func median(
    _ command: [String], of figure: KeyPath<Measured, Double> = \.wall, runs: Int = 5
  ) throws -> Double {
    _ = try run(command)
    let values = try (0..<runs).map { _ in try run(command)[keyPath: figure] }.sorted()
    return values[values.count / 2]
  }
}

/// Times closures in this process.
enum Timing {
  /// Seconds of the median of several runs, after one that does not count.
  static func median(of runs: Int = 5, _ body: () throws -> Void) rethrows -> Double {
    try body()
    var values: [Double] = []
    for _ in 0..<runs {
      let start = ContinuousClock.now
      try body()
      values.append((ContinuousClock.now - start).inSeconds)
    }
    return values.sorted()[runs / 2]
  }
}

/// Prints one figure's line.
func show(_ what: String, _ value: String, bar: String? = nil) {
  let name = what.padding(toLength: 52, withPad: " ", startingAt: 0)
  print("  \(name) \(value)" + (bar.map { "   (bar: \($0))" } ?? ""))
  fflush(nil)
}
