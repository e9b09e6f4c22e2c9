import Foundation
import Pith

/// How soon the program is there.
enum StartupBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let help = try Measured.median(of: 20, [context.pith, "--help"])
    show("pith --help, wall", "\(Format.fixed(help * 1e3, 1)) ms", bar: "30 ms")
    let model = try context.model(mebibytes: 512, tensors: 128)
    let inspect = try Measured.median(of: 10, \.processor, [context.pith, "inspect", model])
    show(
      "pith inspect, 512 MiB HDF5, processor time", "\(Format.fixed(inspect * 1e3, 1)) ms",
      bar: "50 ms")
  }
}
