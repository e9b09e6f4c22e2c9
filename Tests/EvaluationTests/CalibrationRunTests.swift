import Architectures
import Evaluation
import Models
import Tensors
import Testing

@Suite struct CalibrationRunTests {
  private func gather(
    memoryLimit: Int? = nil, workers: Int = 1
  ) throws -> (CalibrationStatistics, CalibrationRun.Summary) {
    let opened = try OpenedModel.open(Nano.folder)
    let stream = try EvaluationData.stream(
      BuiltInText.contents, BuiltInText.name, 2048, opened.tokenizer())
    let sequences = try EvaluationData.stream(stream).calibrationSequences(
      sequences: 8, length: 100, seed: 1, for: opened.description)
    return try CalibrationRun.run(
      opened.weights, sequences: sequences, provenance: "test", memoryLimit: memoryLimit,
      pool: WorkerPool(workers: workers))
  }

  @Test func everyInputIsSeenAndWorkersDoNotChangeABit() throws {
    let (one, summary) = try gather()
    #expect(one.sites.count == 8 && summary.tokens == 800 && summary.shortSites == 0)
    #expect(one.sites.values.allSatisfy { $0.rows == 800 })
    #expect(one.tokenCounts.reduce(0, +) == 800)
    let (two, _) = try gather(workers: 2)
    for (name, site) in one.sites {
      let isEqual = site.gram?.values == two.sites[name]?.gram?.values
      #expect(isEqual, "\(name)")
    }
  }

  /// A cap cuts the rows into other tiles, whose f32 products round otherwise.
  @Test func aMemoryCapChangesNothingButRounding() throws {
    let (whole, plain) = try gather()
    let (spilled, capped) = try gather(memoryLimit: 64 << 10)
    #expect(capped.spilled && !plain.spilled)
    for (name, site) in whole.sites {
      let left = try #require(site.gram).values
      let right = try #require(spilled.sites[name]?.gram).values
      let difference = zip(left, right).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      let total = left.reduce(0) { $0 + $1 * $1 }
      #expect(difference < 1e-12 * total, "\(name)")
    }
  }

  @Test func ownSamplesBeginAsAskedAndRepeat() throws {
    let model = try Nano.model()
    let samples = try CalibrationRun.ownSamples(
      of: model, beginning: 0, sequences: 3, length: 20, seed: 7)
    #expect(samples.count == 3 && samples.allSatisfy { $0.count == 20 && $0[0] == 0 })
    #expect(Set(samples).count == 3)
    #expect(
      try samples
        == CalibrationRun.ownSamples(of: model, beginning: 0, sequences: 3, length: 20, seed: 7))
  }
}
