import Foundation
import Pith

/// The peak memory of scoring block by block, measured on a process of its own.
///
/// The benchmark starts itself again with `score-blockwise`, so that nothing else of it counts.
enum MemoryBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    var paths = context.model.map { [$0] } ?? []
    let large = context.folder + "/large-llama"
    try RandomLlama(
      hidden: 1024, layers: 24, heads: 16, keyValueHeads: 8, inner: 2816, vocabulary: 32768
    ).write(to: large)
    paths.append(large)
    let program = CommandLine.arguments[0]
    for path in paths {
      let opened = try OpenedModel.open(path, mapped: false)
      let block = try PreparedBlock(opened.description.blocks[0], from: opened.weights).byteCount
      let (windows, length) = (4, min(512, opened.description.maximumPositions))
      let states = windows * length * opened.description.hiddenSize * 4
      print(
        "  \((path as NSString).lastPathComponent): \(Format.bytes(opened.storedBytes)), "
          + "a block \(Format.bytes(block)), states \(Format.bytes(states))")
      let idle = try Measured.run([program, "score-blockwise"])
      show("a process that does nothing", Format.bytes(idle.peakBytes))
      for (name, cap) in [("states in memory", Int.max), ("states under 2 MiB", 2 << 20)] {
        for workers in [1, 2] {
          let taken = try Measured.run(
            [program, "score-blockwise", path, "\(windows)", "\(length)", "\(cap)", "\(workers)"])
          guard taken.status == 0 else {
            show(name, "failed")
            continue
          }
          let besides = taken.peakBytes - block - min(states, cap)
          show(
            "\(name), \(workers) worker\(workers == 1 ? "" : "s")",
            "peak \(Format.bytes(taken.peakBytes)), besides block and states "
              + Format.bytes(besides), bar: "<= 64 MiB")
        }
      }
    }
  }

  /// What the measured process does: windows of a fixed pattern through a model, block by block.
  static func scoreBlockwise(_ arguments: [String]) throws {
    guard arguments.count == 5, let windows = Int(arguments[1]), let length = Int(arguments[2]),
      let cap = Int(arguments[3]), let workers = Int(arguments[4])
    else { return }
    let provider = try OpenedModel.open(arguments[0], mapped: false).weights
    let vocabulary = provider.description.vocabularySize
    let sequences = (0..<windows).map { (window: Int) -> [Int32] in
      (0..<length).map { Int32((window * 7919 + $0 * 104_729) % vocabulary) }
    }
    let runner = try BlockwiseRunner(
      provider, batch: TokenBatch(sequences), memoryLimit: cap, pool: WorkerPool(workers: workers))
    for _ in provider.description.blocks {
      try runner.advance(through: runner.loadBlock(from: provider))
    }
    let targets = sequences.flatMap { $0.dropFirst() + [-1] }
    let scores = try runner.scores(targets: targets).compactMap { $0?.negativeLogLikelihood }
    print(scores.reduce(0, +) / Double(scores.count))
  }
}
