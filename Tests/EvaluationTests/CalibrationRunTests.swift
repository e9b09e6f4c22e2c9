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

  @Test func everyInputIsSeenAndNothingDependsOnMemoryOrWorkers() throws {
    let (whole, summary) = try gather()
    #expect(whole.sites.count == 8 && summary.tokens == 800 && summary.shortSites == 0)
    #expect(whole.tokenCounts.reduce(0, +) == 800)
    let (spilled, second) = try gather(memoryLimit: 64 << 10, workers: 2)
    #expect(second.spilled && !summary.spilled)
    for (name, site) in whole.sites {
      #expect(site.rows == 800)
      #expect(site.gram?.values == spilled.sites[name]?.gram?.values)
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
