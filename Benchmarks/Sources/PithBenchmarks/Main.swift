import Foundation
import Pith

/// Measures what docs/performance.md states: `make bench`, or one group by name.
///
/// Every figure is the median of several runs; where a peer is at hand (h5py in a Python named by
/// PITH_BENCH_PYTHON) both are measured in turn in the same run, and the ratio is what counts.
@main
enum Main {
  static func main() throws {
    // As the program does: what is measured in this process runs on the same kernels.
    NumericPath.reexecuteIfFaster()
    NumericPath.forgetRestart()
    var arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.first == "score-blockwise" {
      return try MemoryBenchmarks.scoreBlockwise(Array(arguments.dropFirst()))
    }
    var pith = "../.build/release/pith"
    if let index = arguments.firstIndex(of: "--pith"), index + 1 < arguments.count {
      pith = arguments[index + 1]
      arguments.removeSubrange(index...index + 1)
    }
    let context = try BenchmarkContext(pith: pith)
    defer { context.cleanUp() }
    let groups: [(String, (BenchmarkContext) throws -> Void)] = [
      ("startup", StartupBenchmarks.run), ("reading", ReadingBenchmarks.run),
      ("compression", CompressionBenchmarks.run), ("algebra", AlgebraBenchmarks.run),
      ("scoring", ScoringBenchmarks.run), ("tokenizing", TokenizingBenchmarks.run),
      ("memory", MemoryBenchmarks.run), ("low-rank", LowRankBenchmarks.run),
      ("exports", ExportBenchmarks.run), ("sweeps", SweepBenchmarks.run),
    ]
    for (name, run) in groups where arguments.isEmpty || arguments.contains(name) {
      print("== \(name)")
      try run(context)
    }
  }
}
