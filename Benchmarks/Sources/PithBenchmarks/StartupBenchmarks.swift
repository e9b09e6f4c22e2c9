import Foundation
import Pith

/// How soon the program is there.
enum StartupBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let help = try Measured.median([context.pith, "--help"], runs: 20)
    show("pith --help, wall", "\(Format.fixed(help * 1e3, 1)) ms", bar: "30 ms")
    let model = try context.model(mebibytes: 512, tensors: 128)
    let inspect = try Measured.median([context.pith, "inspect", model], of: \.processor, runs: 10)
    show(
      "pith inspect, 512 MiB HDF5, processor time", "\(Format.fixed(inspect * 1e3, 1)) ms",
      bar: "50 ms")
  }
}
