import Architectures
import Artefacts
import Checkpoints
import Evaluation
import Foundation
import Models
import Recipes
import Synchronization
import Tensors
import TestSupport
import Testing
import Text

@testable import Pipeline

/// Calibration inside a run, on the nano model.
@Suite struct SequentialTests {
  private static let gptq = "  - quantize: {method: gptq, bits: 2, group: 32, symmetric: false}"

  /// The nano model in memory, so that reading it can be watched and stopped.
  private static func nano(tied: Bool = false) throws -> MemorySource {
    let source = try CheckpointOpener.open(SharedFiles.fixture("nanollama"))
    var copy = MemorySource()
    copy.path = SharedFiles.fixture("nanollama")
    copy.metadata = source.metadata
    for tensor in source.tensors where !(tied && tensor.name == "lm_head.weight") {
      copy.add(tensor.name, try source.load(tensor))
    }
    if tied {
      copy.metadata.configuration = copy.metadata.configuration?.replacingOccurrences(
        of: "\"tie_word_embeddings\": false", with: "\"tie_word_embeddings\": true")
    }
    return copy
  }

  private static func recipe(_ calibration: String, stages: String = gptq, _ rest: String = "")
    throws -> Recipe
  {
    try Sample.recipe(stages, "calibration: {\(calibration)}\n\(rest)")
  }

  private static func compress(
    _ recipe: Recipe, _ source: any TensorSource, _ folder: String, workers: Int = 1,
    memory: Int? = nil
  ) throws -> Data {
    let plan = try Planner.plan(
      recipe, for: source,
      options: PlanOptions(memoryLimit: memory, workers: workers, durable: false))
    try RunTests.run(plan, folder, force: true)
    return try Data(contentsOf: URL(fileURLWithPath: folder + "/out.h5"))
  }

  /// KL(dense ‖ compressed) per token on held-out text.
  private static func divergence(_ path: String, from source: any TensorSource) throws -> Double {
    let compressed = try OpenedModel.open(path)
    let reference = try OpenedModel(source)
    let data = try EvaluationData.read(
      SharedFiles.fixture("text/heldout_publicdomain.txt"),
      vocabularySize: reference.description.vocabularySize
    ) { try compressed.tokenizer() }
    let windows = try data.scoringWindows(
      .init(length: 128, sequences: 48), for: reference.description)
    let pool = WorkerPool.serial
    let scores = try WindowScoring.run(
      [try compressed.load(pool: pool)], reference: try reference.load(pool: pool),
      windows: windows.windows)
    return Divergence(scores[0], bootstrap: Bootstrap(windows: windows.windows.count, seed: 0))
      .mean.value
  }

  @Test func fittingToTheDenseModelBeatsOneShotAtTwoBits() throws {
    let source = try Self.nano()
    try SharedFiles.withTemporaryFolder { folder in
      var figures: [String: Double] = [:]
      for (name, calibration) in [
        ("one shot", "sequential: none"), ("own", "target: own"), ("stream", "target: stream"),
      ] {
        _ = try Self.compress(
          try Self.recipe("length: 128, " + calibration), source, folder, workers: 2)
        figures[name] = try Self.divergence(folder + "/out.h5", from: source)
      }
      let oneShot = try #require(figures["one shot"])
      // 0.80 of one shot's divergence where this was written; inputs alone do not do it.
      #expect(try #require(figures["stream"]) < 0.88 * oneShot, "\(figures)")
      #expect(try #require(figures["own"]) > 0.88 * oneShot, "\(figures)")
    }
  }

  @Test(arguments: ["layers, target: stream", "layers, target: own", "blocks", "none"])
  func workersAndMemoryChangeNothing(_ way: String) throws {
    let source = try Self.nano()
    // Windows that no tile divides, and more states than the small cap leaves room for.
    let recipe = try Self.recipe("sequences: 80, length: 100, sequential: \(way)")
    try SharedFiles.withTemporaryFolder { folder in
      let expected = try Self.compress(recipe, source, folder)
      for workers in [2, 3] {
        #expect(try Self.compress(recipe, source, folder, workers: workers) == expected)
      }
      let roomy = try Planner.plan(
        recipe, for: source, options: PlanOptions(workers: 1, durable: false))
      let states = try #require(roomy.calibrationPlan).forecast.stateBytes
      let cap = roomy.forecast.peakBytes - states / 2
      let tight = try Planner.plan(
        recipe, for: source,
        options: PlanOptions(memoryLimit: cap, workers: 1, durable: false))
      #expect(roomy.holdsStates && !tight.holdsStates)
      #expect(try Self.compress(recipe, source, folder, memory: cap) == expected)
    }
  }

  @Test func oneShotIsWhatAStatisticsFileGives() throws {
    let source = try Self.nano()
    let recipe = try Self.recipe("sequences: 16, length: 64, sequential: none")
    try SharedFiles.withTemporaryFolder { folder in
      _ = try Self.compress(recipe, source, folder)
      let own = try ArtefactFile(path: folder + "/out.h5")
      let model = try OpenedModel(source)
      let text = try CalibrationText.read(
        recipe.calibration, seed: 0, for: model, tokenizer: nil)
      let statistics = try CalibrationRun.run(
        model.weights,
        sequences: try text.sequences(of: model, memoryLimit: nil, pool: .serial),
        provenance: "", pool: .serial
      ).statistics
      try FileIO.makeFolder(folder + "/file")
      let plan = try Planner.plan(
        recipe, for: source, options: PlanOptions(workers: 1, durable: false),
        calibration: CalibrationInput(statistics: statistics, path: "s", hash: "h"))
      try RunTests.run(plan, folder + "/file")
      let other = try ArtefactFile(path: folder + "/file/out.h5")
      #expect(own.header.calibration?.contains("one shot") == true)
      for name in own.names {
        guard case .weight(let left) = try own.content(of: name).kind,
          case .weight(let right) = try other.content(of: name).kind
        else { continue }
        #expect(left.decoded().values == right.decoded().values, "\(name)")
      }
    }
  }

  /// Stops at each of some reads, goes on, and compares the bytes.
  @Test(arguments: ["layers, target: stream", "blocks", "none"])
  func stoppedAnywhereAndResumed(_ way: String) throws {
    let source = try Self.nano()
    let recipe = try Self.recipe(
      "sequences: 16, length: 64, sequential: \(way)", "targets: [\"*\"]")
    try SharedFiles.withTemporaryFolder { peaceful in
      let expected = try Self.compress(recipe, source, peaceful)
      for name in [
        "model.norm.weight", "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.k_proj.weight",
        "model.layers.1.mlp.down_proj.weight", "lm_head.weight",
      ] {
        try SharedFiles.withTemporaryFolder { folder in
          let interruption = Interruption()
          var stopping = source
          stopping.beforeReading = { read, _ in if read == name { interruption.request() } }
          let options = PlanOptions(workers: 2, durable: false)
          let text = Sample.message {
            try RunTests.run(
              try Planner.plan(recipe, for: stopping, options: options), folder,
              interruption: interruption)
          }
          #expect(text.contains("--resume"), "\(name): \(text)")
          try RunTests.run(
            try Planner.plan(recipe, for: source, options: options), folder, resume: true)
          let found = try Data(contentsOf: URL(fileURLWithPath: folder + "/out.h5"))
          #expect(found == expected, "\(name)")
        }
      }
    }
  }

  @Test func anotherTextIsNotResumed() throws {
    let source = try Self.nano()
    func identity(_ calibration: String) throws -> RunIdentity {
      RunIdentity(
        plan: try Planner.plan(
          try Self.recipe(calibration), for: source, options: PlanOptions(workers: 1)),
        tool: Sample.tool)
    }
    let mine = try identity("sequences: 16, length: 64")
    #expect(mine.facts.contains { $0.what == "the calibration" })
    #expect(try mine.difference(from: identity("sequences: 17, length: 64")) != nil)
    #expect(try mine.difference(from: identity("sequences: 16, length: 64")) == nil)
  }

  @Test func embeddingsAndHeadsAreCompressedWhenTargeted() throws {
    for tied in [false, true] {
      let source = try Self.nano(tied: tied)
      let recipe = try Self.recipe(
        "length: 128", stages: "  - quantize: {method: gptq, bits: 4, group: 32}",
        "targets: [\"*\"]")
      try SharedFiles.withTemporaryFolder { folder in
        let plan = try Planner.plan(
          recipe, for: source, options: PlanOptions(workers: 2, durable: false))
        let record = try RunTests.run(plan, folder)
        #expect(plan.forecast.storedBytes == record.totals.storedBytes)
        let table = try #require(
          record.tensors.first { $0.name == "model.embed_tokens.weight" })
        #expect(table.compressed && table.storedType == "int4 g32")
        // An untied table is looked up only; a tied one is calibrated as the head that it is.
        #expect(table.notes.contains { $0.contains("looked up") } == !tied)
        let loss = try Self.divergence(folder + "/out.h5", from: source)
        #expect(loss < 0.04, "\(loss)")
        let artefact = try OpenedModel.open(folder + "/out.h5")
        #expect(artefact.storedBytes * 6 < (try OpenedModel(source)).storedBytes)
      }
    }
  }

  @Test func whatCannotBeCalibratedIsNamed() throws {
    var source = try Self.nano()
    try source.add("extra.projection.weight", [64, 64])
    let outside = Sample.message {
      _ = try Planner.plan(
        try Self.recipe("length: 64"), for: source, options: PlanOptions(workers: 1))
    }
    #expect(outside.contains("'extra.projection.weight' (64 × 64)") && outside.contains("ignore"))
    source = try Self.nano()
    source.metadata.configuration = nil
    let blind = Sample.message {
      _ = try Planner.plan(
        try Self.recipe("length: 64"), for: source, options: PlanOptions(workers: 1))
    }
    #expect(blind.contains("cannot be run") && blind.contains("--statistics"), "\(blind)")
    let small = Sample.message {
      _ = try Planner.plan(
        try Self.recipe("length: 64"), for: Self.nano(),
        options: PlanOptions(memoryLimit: 72 << 20, workers: 1))
    }
    #expect(small.contains("calibration needs") && small.contains("--memory"), "\(small)")
  }

  @Test func progressEndsAtItsTotal() throws {
    let events = Mutex<[(done: Int, total: Int)]>([])
    let names = Mutex<[Int]>([])
    try SharedFiles.withTemporaryFolder { folder in
      let plan = try Planner.plan(
        try Self.recipe("sequences: 8, length: 64"), for: try Self.nano(),
        options: PlanOptions(workers: 2, durable: false))
      try RunTests.run(plan, folder) { event in
        switch event {
        case .progress(let done, let total, _): events.withLock { $0.append((done, total)) }
        case .tensor(let record, _): names.withLock { $0.append(record.index) }
        default: break
        }
      }
      // Every tensor is told of once, blocks in their order.
      #expect(names.withLock { $0.sorted() } == Array(plan.tensors.indices))
    }
    let seen = events.withLock { $0 }
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.done <= $1.done })
    #expect(seen.last.map { Double($0.done) / Double($0.total) > 0.99 } == true)
  }
}
