import Architectures
import Artefacts
import Checkpoints
import Foundation
import Models
import Recipes
import RunRecords
import Tensors
import TestSupport
import Testing
import Weights

@testable import Pipeline

@Suite struct ValidationTests {
  private func bounds(_ text: String) throws -> ValidationBounds {
    try BoundsParser.parse(bytes: Array(text.utf8), file: "b.yaml")
  }

  private func record(_ error: WeightError) -> RunRecord {
    var record = RunRecord(command: "validate", toolVersion: "1", model: "m")
    let tensor = TensorRecord(
      index: 0, name: "a.weight", shape: [8], sourceType: "f32", storedType: "int4", reason: "",
      compressed: true, elements: 80, sourceBytes: 320, storedBytes: 40, error: error)
    record.tensors = [tensor]
    record.totals.add(tensor)
    record.totals.error = error
    return record
  }

  private let good = WeightError(
    relativeFrobenius: 0.1, signalToNoise: 20, maximumAbsolute: 0.5, cosine: 0.99)

  @Test(arguments: [
    ("relative_error: 0.1", "relative_error: 0.09"), ("snr_db: 20", "snr_db: 20.1"),
    ("max_absolute: 0.5", "max_absolute: 0.4"), ("cosine: 0.99", "cosine: 0.991"),
    ("bits_per_weight: 4", "bits_per_weight: 3.9"), ("ratio: 8", "ratio: 8.1"),
  ])
  func eachBoundHoldsAndIsMissed(_ kept: String, _ missed: String) throws {
    let record = record(good)
    for block in ["total", "tensors"] {
      #expect(try bounds("\(block): {\(kept)}").missed(by: record).isEmpty)
      let misses = try bounds("\(block): {\(missed)}").missed(by: record)
      #expect(misses.count == 1)
      let name = String(missed.prefix { $0 != ":" })
      #expect(
        misses.first?.hasPrefix(block == "total" ? "total: \(name)" : "a.weight: \(name)") == true)
    }
  }

  @Test func cachesHaveBounds() throws {
    var record = record(good)
    func missed(_ text: String) throws -> [String] {
      try bounds("total: {\(text)}").missed(by: record)
    }
    // Exact keys and values: 16 bits, and nothing is added.
    #expect(try missed("cache_bits: 16, cache_kl: 0").isEmpty)
    #expect(
      try missed("cache_bits: 8") == ["total: cache_bits is 16.0, the bound is at most 8.0"])
    record.keyValueCache = KeyValueRecord(
      scheme: "4 bits",
      size: .init(tokens: 128, bitsPerNumber: 5, denseBytes: 1 << 15, storedBytes: 1 << 14))
    record.modelFigures = ModelFigures(
      data: "t", perplexity: 2, referencePerplexity: 2, perplexityRatio: 1,
      perplexityRatioError: 0, divergence: 0.75, agreement: 1,
      withExactCache: .init(perplexityRatio: 1, divergence: 0.5))
    #expect(try missed("cache_bits: 5, cache_kl: 0.25").isEmpty)
    #expect(try missed("cache_bits: 4.9, cache_kl: 0.24").count == 2)
    #expect(try bounds("total: {cache_kl: 1}").total.needsModelFigures)
    // A layout that is not known cannot be said to fit.
    record.keyValueCache?.size = nil
    #expect(try missed("cache_bits: 64").count == 1)
  }

  /// The plan names the rounding, with what a cache takes; the artefact is held against its recipe.
  @Test func cachesArePlannedAndChecked() throws {
    let nano = try CheckpointOpener.open(SharedFiles.fixture("nanollama/model.h5"))
    let recipe = try Sample.recipe(Sample.w4, "kv_cache: {bits: 4}")
    let plan = try Sample.plan(recipe, nano)
    // 2 layers of 2 heads of 16 channels, keys and values: 128 numbers a token.
    let size = KeyValueRecord.Size(
      tokens: 128, bitsPerNumber: 5.5, denseBytes: 128 * 128 * 2,
      storedBytes: 96 * 128 * 11 / 16 + 32 * 128 * 2)
    let expected = KeyValueRecord(
      scheme: "4 bits, keys per channel, groups of 32, 32 exact", size: size)
    #expect(plan.keyValueCache == expected)
    #expect(plan.record(toolVersion: "1").keyValueCache == expected)
    #expect(try Sample.plan(try Sample.recipe(), nano).keyValueCache == nil)
    // A model that is none: the scheme, and a warning.
    var other = MemorySource()
    try other.add("a.weight", [64, 64])
    let unknown = try Sample.plan(recipe, other)
    #expect(unknown.keyValueCache == KeyValueRecord(scheme: expected.scheme))
    #expect(unknown.warnings.contains { $0.hasPrefix("keys and values are not rounded") })
    try SharedFiles.withTemporaryFolder { folder in
      try RunTests.run(plan, folder)
      let file = try ArtefactFile(path: folder + "/out.h5")
      func validate(_ file: ArtefactFile) throws -> RunRecord {
        try ArtefactComparison.run(file, against: nano, toolVersion: "1", workers: 2)
      }
      #expect(try validate(file).keyValueCache == expected)
      let model = try OpenedModel(nano).description
      func check(_ change: (inout ArtefactHeader) -> Void) throws -> KeyValueRecord? {
        var header = file.header
        change(&header)
        return try KeyValueRecord.stored(in: header, path: "x.h5") { model }?.record
      }
      #expect(try check { _ in } == expected)
      // A run of an artefact that lost the attribute would keep exact keys and values.
      let lost = Sample.message { _ = try check { $0.keyValueScheme = nil } }
      #expect(lost.contains("as '\(expected.scheme)', its header as 'exact'"), "\(lost)")
      #expect(throws: PipelineError.self) { try check { $0.keyValueScheme?.group = 64 } }
      // Imported: no recipe of ours, scales of another model.
      #expect(throws: ModelError.keyValueScalesDoNotFit(found: 1, blocks: 2)) {
        try check {
          $0.keyValueScheme = nil
          $0.recipe = #"{"import":"x"}"#
          $0.keyValueScales = KeyValueScales(format: .int8, layers: [.init(key: 1, value: 1)])
        }
      }
    }
  }

  @Test func aNaNMissesEveryBound() throws {
    let nan = WeightError(
      relativeFrobenius: .nan, signalToNoise: .nan, maximumAbsolute: .nan, cosine: .nan)
    let all = "{relative_error: 1e9, snr_db: -1000, max_absolute: 1e30, cosine: -1}"
    #expect(try bounds("total: \(all)\ntensors: \(all)").missed(by: record(nan)).count == 8)
    #expect(try bounds("total: \(all)\ntensors: \(all)").missed(by: record(good)).isEmpty)
  }

  @Test func mistakesHaveTheirPlaces() {
    func message(_ text: String) -> String { Sample.message { _ = try self.bounds(text) } }
    #expect(message("total: {relative_eror: 1}").contains("b.yaml:1:9"))
    #expect(message("total: {relative_eror: 1}").contains("relative_error"))
    #expect(message("tensor: {}").contains("tensors"))
    #expect(message("total: {cosine: 2}").contains("b.yaml:1:17"))
    #expect(message("[]") != "accepted")
  }

  private func artefact(_ folder: String, _ source: MemorySource) throws -> ArtefactFile {
    try RunTests.run(try Sample.plan(try Sample.recipe(), source), folder)
    return try ArtefactFile(path: folder + "/out.h5")
  }

  @Test func tensorsThatWereLeftAreComparedToo() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = MemorySource()
      try source.add("a.weight", [64, 64])
      source.add("norm", Tensor(dtype: .f32, shape: [3], array: [1, 2, 3] as [Float]))
      source.add("table", Tensor(dtype: .i32, shape: [2], array: [1, 2] as [Int32]))
      let file = try artefact(folder, source)
      func validate(_ other: MemorySource) throws -> RunRecord {
        try ArtefactComparison.run(file, against: other, toolVersion: "1", workers: 2)
      }
      let same = try validate(source)
      #expect(same.tensors.map { $0.error != nil } == [true, false, false])
      #expect(same.tensors[1].reason == "the same as the model's")
      #expect(same.totals.fileBytes ?? 0 > 0)

      var changed = MemorySource()
      try changed.add("a.weight", [64, 64])
      changed.add("norm", Tensor(dtype: .f32, shape: [3], array: [1, 2, 3.5] as [Float]))
      changed.add("table", Tensor(dtype: .i32, shape: [2], array: [1, 2] as [Int32]))
      let different = try validate(changed)
      #expect(different.tensors[1].error?.maximumAbsolute == 0.5)
      #expect(different.totals.error?.maximumAbsolute ?? 0 >= 0.5)
      #expect(try !bounds("tensors: {max_absolute: 0.4}").missed(by: different).isEmpty)

      var wider = MemorySource()
      try wider.add("a.weight", [64, 64])
      wider.add("norm", Tensor(dtype: .f64, shape: [3], array: [1, 2, 3] as [Double]))
      wider.add("table", Tensor(dtype: .i32, shape: [2], array: [1, 2] as [Int32]))
      #expect(try validate(wider).tensors[1].error == nil)

      var wrong = source
      wrong.tensors.removeLast()
      wrong.add("table", Tensor(dtype: .i32, shape: [2], array: [1, 3] as [Int32]))
      #expect(Sample.message { _ = try validate(wrong) }.contains("'table'"))

      var more = source
      try more.add("more", [3])
      #expect(Sample.message { _ = try validate(more) }.contains("no tensor 'more'"))
      var fewer = source
      fewer.tensors.removeFirst()
      #expect(Sample.message { _ = try validate(fewer) }.contains("no tensor 'a.weight'"))
      var shaped = MemorySource()
      try shaped.add("a.weight", [32, 128])
      #expect(Sample.message { _ = try validate(shaped) } != "accepted")
    }
  }
}
