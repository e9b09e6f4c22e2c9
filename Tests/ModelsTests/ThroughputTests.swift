import Architectures
import Foundation
import LinearAlgebra
import Models
import Tensors
import Testing
import Weights

/// Tokens per second against what sgemm alone would allow; run with PITH_BENCH set.
@Suite(
  .serialized,
  .enabled(if: ProcessInfo.processInfo.environment["PITH_BENCH"] != nil, "set PITH_BENCH to run"))
struct ThroughputTests {
  @Test(arguments: [
    (
      "tinyllama",
      RandomWeights.llama(
        hidden: 256, layers: 6, heads: 8, keyValueHeads: 4, inner: 704, vocabulary: 4096), 8
    ),
    (
      "135M",
      RandomWeights.llama(
        hidden: 576, layers: 30, heads: 9, keyValueHeads: 3, inner: 1536, vocabulary: 49152), 4
    ),
  ])
  func scoring(_ name: String, _ configuration: String, _ windows: Int) throws {
    let weights = try RandomWeights(configuration)
    let model = weights.description
    let sequences = (0..<windows).map { window in
      (0..<512).map { Int32((window * 7919 + $0 * 104_729) % model.vocabularySize) }
    }
    for workers in [1, 2] {
      let runner = try LanguageModel(weights, pool: WorkerPool(workers: workers))
      let rate = try best(3) { _ = try runner.negativeLogLikelihoods(of: sequences) }
      let alone = best(3) { gemmAlone(model, rows: 512 * windows, workers: workers) }
      let tokens = Double(512 * windows)
      print(
        "\(name) workers \(workers): \(Int(tokens / rate.wall)) tokens/s,",
        "sgemm alone \(Int(tokens / alone.wall)) tokens/s, ratio \(alone.wall / rate.wall),",
        "by processor time \(alone.processor / rate.processor)")
    }
  }

  @Test func fourBitsAgainstDense() throws {
    let dense = try RandomWeights(
      RandomWeights.llama(
        hidden: 512, layers: 6, heads: 8, keyValueHeads: 4, inner: 1536, vocabulary: 4096))
    let sequences = (0..<4).map { (window: Int) -> [Int32] in
      (0..<512).map { (place: Int) -> Int32 in
        Int32((window * 7919 + place * 104_729) % 4096)
      }
    }
    let scheme = try IntegerScheme(bits: 4, granularity: .group(128), clip: .none)
    let plain = try LanguageModel(dense)
    let codes = try LanguageModel(QuantizedWeights(base: dense, scheme: scheme, decoded: false))
    let first = try best(5) { _ = try plain.negativeLogLikelihoods(of: sequences) }
    let second = try best(5) { _ = try codes.negativeLogLikelihoods(of: sequences) }
    print("four bits: \(first.processor / second.processor) of dense by processor time")
  }

  /// The least wall time and the least processor time, in seconds.
  private func best(
    _ times: Int, _ body: () throws -> Void
  ) rethrows -> (wall: Double, processor: Double) {
    var best = (wall: Double.infinity, processor: Double.infinity)
    for _ in 0..<times {
      let start = ContinuousClock.now
      let ticks = clock()
      try body()
      best.processor = min(best.processor, Double(clock() - ticks) / Double(CLOCKS_PER_SEC))
      best.wall = min(best.wall, Double((ContinuousClock.now - start) / .microseconds(1)) * 1e-6)
    }
    return best
  }

  /// The linear layers' and the head's products, nothing else, cut over all rows.
  private func gemmAlone(_ model: ModelDescription, rows: Int, workers: Int) {
    let pool = WorkerPool(workers: workers)
    let shapes =
      model.blocks.flatMap(\.linears).map { ($0.outputs, $0.inputs) }
      + [(model.vocabularySize, model.hiddenSize)]
    let part = rows / 4
    let largest = shapes.map { max($0.0 * $0.1, part * $0.1) }.max() ?? 0
    let data = [Float](repeating: 0.5, count: largest)
    pool.forEach(4) { (_: Int) -> Void in
      var result = [Float](repeating: 0, count: part * 4096)
      for (outputs, inputs) in shapes {
        for first in stride(from: 0, to: outputs, by: 4096) {
          BLAS.gemm(
            m: part, n: min(4096, outputs - first), k: inputs, alpha: 1, a: data, lda: inputs,
            transposeA: false, b: data, ldb: inputs, transposeB: true, beta: 0, c: &result,
            ldc: 4096)
        }
      }
    }
  }
}
