import Architectures
import Models
import Tensors
import Testing

@Suite struct BlockwiseTests {
  static let configuration = RandomWeights.llama(
    hidden: 128, layers: 24, heads: 4, keyValueHeads: 2, inner: 384, vocabulary: 200)

  /// Scores by the block-wise runner, as a pipeline drives it.
  private func scores(
    _ weights: RandomWeights, _ sequences: [[Int32]], limit: Int
  ) throws -> (scores: [RowScore?], peak: Int, weightBytes: Int, spilled: Bool) {
    let batch = TokenBatch(sequences)
    let runner = try BlockwiseRunner(weights, batch: batch, memoryLimit: limit)
    var weightBytes = 0
    for _ in weights.description.blocks {
      let block = try runner.loadBlock(from: weights)
      weightBytes += block.byteCount
      try runner.advance(through: block)
    }
    let targets = sequences.flatMap { $0.dropFirst() + [-1] }
    let found = try runner.scores(targets: targets)
    return (found, runner.peakBytes, weightBytes, runner.isSpilled)
  }

  @Test func aModelFourTimesTheCapRunsWithTheSameBits() throws {
    let weights = try RandomWeights(Self.configuration)
    let sequences = (0..<24).map { index in
      (0..<40 + index % 3).map { Int32(($0 * 31 + index * 7) % 200) }
    }
    let free = try scores(weights, sequences, limit: .max)
    let capped = try scores(weights, sequences, limit: 128 << 10)
    #expect(!free.spilled)
    #expect(capped.spilled)
    #expect(capped.peak * 4 < capped.weightBytes)
    #expect(free.peak > capped.peak)
    let model = try LanguageModel(weights, residency: .oneBlock)
    let expected = try model.negativeLogLikelihoods(of: sequences).flatMap { $0 }
    // Windows cut the rows elsewhere, so that gemm's edges may round differently.
    for found in [free.scores, capped.scores] {
      let values = found.compactMap { $0?.negativeLogLikelihood }
      #expect(values.count == expected.count)
      let worst = zip(values, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(worst < 1e-4)
    }
  }

  @Test func observingDoesNotMoveTheStates() throws {
    let golden = try Golden("qwen3")
    let runner = try BlockwiseRunner(
      golden.weights, batch: TokenBatch(golden.sequences), memoryLimit: 100)
    let collector = CalibrationCollector(for: runner.description)
    for _ in runner.description.blocks {
      let block = try runner.loadBlock(from: golden.weights)
      try runner.observe(block, collector)
      try runner.observe(block, collector)
      try runner.advance(through: block)
    }
    var values: [Float] = []
    try runner.finish { _, hidden in values += hidden.values }
    let found = Matrix(rows: golden.hidden.rows, columns: golden.hidden.columns, values: values)
    #expect(relativeError(found, golden.hidden) < 2e-6)
    #expect(collector.statistics.sites.values.allSatisfy { $0.rows == 2 * golden.hidden.rows })
  }

  /// A block in steps, one loaded site after the other, is the block in one pass, bit for bit.
  @Test(arguments: ["llama", "qwen3", "gpt2", "bert", "opt"])
  func stepsAreTheWholePass(_ name: String) throws {
    let golden = try Golden(name)
    let batch = TokenBatch(golden.sequences)
    func runner() throws -> BlockwiseRunner {
      try BlockwiseRunner(golden.weights, batch: batch, pool: WorkerPool(workers: 2))
    }
    let (whole, stepped, complete) = (try runner(), try runner(), try runner())
    let watched = CalibrationCollector(for: whole.description)
    let collected = CalibrationCollector(for: whole.description)
    for description in whole.description.blocks {
      let block = try whole.loadBlock(from: golden.weights)
      try whole.observe(block, watched)
      try whole.advance(through: block)
      var prepared = try PreparedBlock(normsOf: description, from: golden.weights)
      for (number, site) in description.sites.enumerated() {
        try stepped.step(prepared, beside: complete, block) { own, other in
          try collected.observe(site, own.input, rows: own.rows.count)
          for index in 0..<own.rows.count * site.width where own.input[index] != other.input[index]
          {
            Issue.record("\(site.name) differs at \(index)")
            return
          }
        }
        try prepared.load(site: number, from: golden.weights)
      }
      try stepped.finish(prepared)
      try complete.finish(block)
    }
    func states(_ runner: BlockwiseRunner) throws -> [Float] {
      var values: [Float] = []
      try runner.finish { _, hidden in values += hidden.values }
      return values
    }
    let expected = try states(whole)
    #expect(try states(stepped) == expected)
    #expect(try states(complete) == expected)
    for (name, site) in watched.statistics.sites {
      #expect(collected.statistics.sites[name]?.gram == site.gram)
    }
  }

  @Test func aFolderThatCannotBeWrittenIsNamed() throws {
    let golden = try Golden("llama")
    #expect(throws: ModelError.self) {
      try BlockwiseRunner(
        golden.weights, batch: TokenBatch(golden.sequences), memoryLimit: 0,
        folder: "/nonexistent-folder")
    }
  }
}
