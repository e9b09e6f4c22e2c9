import Artefacts
import Checkpoints
import Foundation
import Recipes
import RunRecords
import Synchronization
import Tensors
import TestSupport
import Testing
import Weights

@testable import Pipeline

@Suite struct RunTests {
  @discardableResult
  static func run(
    _ plan: Plan, _ folder: String, resume: Bool = false, force: Bool = false,
    interruption: Interruption = Interruption(), tool: ToolIdentity = Sample.tool,
    report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> RunRecord {
    try CompressionRun.run(
      plan, target: .init(output: folder + "/out.h5", force: force, resume: resume),
      identity: tool, interruption: interruption, report: report)
  }

  static let recipes: [String] = {
    let files = try? FileManager.default.contentsOfDirectory(
      atPath: SharedFiles.repository + "/recipes")
    return (files ?? []).filter { $0.hasSuffix(".yaml") }.sorted()
  }()

  @Test(arguments: recipes)
  func whatIsForecastIsStored(_ name: String) throws {
    let recipe = try RecipeFile.load(SharedFiles.repository + "/recipes/" + name)
    // Narrowing needs to know what the model is; EndToEndTests run it.
    if recipe.stages.contains(where: { $0.key == "narrow" }) { return }
    // A search's recipe names the tensors of the model that it was made for.
    let isSearched = name.hasPrefix("auto-")
    var half = MemorySource()
    for (index, type) in [DType.f16, .bf16, .f64, .f32].enumerated() {
      try half.add("\(index).weight", [128, 256], type)
      try half.add(
        "\(index).turned", [256, 128], type, attributes: ["layout": .string("outputs_last")])
    }
    let nano = try CheckpointOpener.open(SharedFiles.fixture("nanollama/model.h5"))
    // Stages of the whole model need to know what it is, and so do scales of keys and values.
    let isOfModel = !recipe.modelStages.isEmpty || recipe.keyValueCache?.stored != nil
    let sources: [any TensorSource] = isOfModel || isSearched ? [nano] : [nano, half]
    for source in sources {
      try SharedFiles.withTemporaryFolder { folder in
        let plan = try Planner.plan(
          recipe, for: source, options: PlanOptions(workers: 2, durable: false),
          calibration: Sample.calibration(for: source))
        let record = try Self.run(plan, folder)
        for (planned, tensor) in zip(plan.tensors, record.tensors) {
          #expect(planned.storedBytes == tensor.storedBytes, "\(planned.tensor.name)")
          // Nothing grows: not even a half-precision weight whose entries are only left out, but
          // for the bitmap of its mask.
          let mask =
            tensor.storedType.contains(":") || tensor.storedType.contains("sparse")
            ? tensor.elements / 8 : 0
          // Factors come on top of a base: "pissa r16 f16", "+eora r16 int8".
          if tensor.compressed, !tensor.storedType.contains(" r"),
            !tensor.storedType.contains("eora")
          {
            #expect(tensor.storedBytes <= tensor.sourceBytes + mask, "\(tensor.name)")
          }
        }
        #expect(plan.forecast.storedBytes == record.totals.storedBytes)
        let file = try ArtefactFile(path: folder + "/out.h5")
        #expect(try file.verify(pool: .serial).bytes == record.totals.storedBytes)
      }
    }
  }

  @Test func aNaNLeavesNothingAndIsNamed() throws {
    for (stages, type) in [
      (Sample.w4, DType.f32), ("  - prune: {method: magnitude, sparsity: 0.5}", .f32),
      (Sample.w4, .f64), ("  - prune: {method: magnitude, sparsity: 0.5}", .f64),
    ] {
      try SharedFiles.withTemporaryFolder { folder in
        var source = MemorySource()
        try source.add("good.weight", [64, 64])
        // Far into the second piece of the streaming road.
        var values = [Float](repeating: 1, count: 4096 * 64)
        values[200_001] = .nan
        if type == .f64 {
          // Finite, and too large for the f32 that the stages work with.
          var doubles = values.map(Double.init)
          doubles[200_001] = 1e300
          source.add("bad.weight", Tensor(dtype: .f64, shape: [4096, 64], array: doubles))
        } else {
          source.add("bad.weight", Tensor(dtype: .f32, shape: [4096, 64], array: values))
        }
        let plan = try Sample.plan(try Sample.recipe(stages), source)
        let text = Sample.message { try Self.run(plan, folder) }
        #expect(
          text.contains("'memory'") && text.contains("'bad.weight'")
            && text.contains("element 200001"), "\(text)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
      }
    }
  }

  @Test func aNaNInACopiedTensorIsNamedToo() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = MemorySource()
      source.add("norm", Tensor(dtype: .f32, shape: [3], array: [1, 2, .infinity] as [Float]))
      let text = Sample.message {
        try Self.run(try Sample.plan(try Sample.recipe(), source), folder)
      }
      #expect(text.contains("'norm'") && text.contains("element 2"), "\(text)")
    }
  }

  @Test func interruptedBetweenPiecesAndResumed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = MemorySource()
      for index in 0..<4 { try source.add("\(index).weight", [8192, 64]) }
      try SharedFiles.withTemporaryFolder { other in
        let peace = try Sample.plan(try Sample.recipe(), source)
        try Self.run(peace, other)
        let interruption = Interruption()
        let reads = Mutex<[String]>([])
        var stopping = source
        stopping.beforeReading = { name, rows in
          reads.withLock { $0.append(name) }
          // In the middle of the third tensor.
          if name == "2.weight", rows.lowerBound > 0 { interruption.request() }
        }
        let recipe = try Sample.recipe()
        let plan = try Sample.plan(recipe, stopping)
        let text = Sample.message { try Self.run(plan, folder, interruption: interruption) }
        #expect(text.contains("--resume"), "\(text)")
        #expect(!reads.withLock { $0.contains("3.weight") })
        #expect(!FileManager.default.fileExists(atPath: folder + "/out.h5"))
        // What is finished is not read again.
        reads.withLock { $0 = [] }
        var going = source
        going.beforeReading = { name, _ in reads.withLock { $0.append(name) } }
        let again = Sample.message { try Self.run(try Sample.plan(recipe, going), folder) }
        #expect(again.contains("unfinished run"))
        try Self.run(try Sample.plan(recipe, going), folder, resume: true)
        #expect(Set(reads.withLock { $0 }) == ["2.weight", "3.weight"])
        #expect(
          try Data(contentsOf: URL(fileURLWithPath: folder + "/out.h5"))
            == Data(contentsOf: URL(fileURLWithPath: other + "/out.h5")))
      }
    }
  }

  /// A run that was stopped after three of four tensors.
  private func stopped(_ folder: String) throws -> MemorySource {
    var source = MemorySource()
    for index in 0..<4 { try source.add("\(index).weight", [64, 64]) }
    let interruption = Interruption()
    var stopping = source
    stopping.beforeReading = { name, _ in if name == "3.weight" { interruption.request() } }
    _ = Sample.message {
      try Self.run(
        try Sample.plan(
          try Sample.recipe("  - prune: {method: magnitude, sparsity: 0.5}"), stopping), folder,
        interruption: interruption)
    }
    return source
  }

  @Test func aPartThatIsMissingOrShortIsMadeAgain() throws {
    for damage in ["missing", "short"] {
      try SharedFiles.withTemporaryFolder { folder in
        var source = try stopped(folder)
        let part = folder + "/out.h5.pith-work/1.part"
        if damage == "missing" {
          try FileManager.default.removeItem(atPath: part)
        } else {
          let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: part))
          try handle.truncate(atOffset: 100)
          try handle.close()
        }
        let reads = Mutex<Set<String>>([])
        source.beforeReading = { name, _ in reads.withLock { _ = $0.insert(name) } }
        let recipe = try Sample.recipe("  - prune: {method: magnitude, sparsity: 0.5}")
        try Self.run(try Sample.plan(recipe, source), folder, resume: true)
        #expect(reads.withLock { $0 } == ["1.weight", "3.weight"], "\(damage)")
        #expect(throws: Never.self) {
          try ArtefactFile(path: folder + "/out.h5").verify(pool: .serial)
        }
      }
    }
  }

  @Test func whatChangedSinceTheJournalIsNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = try stopped(folder)
      let recipe = try Sample.recipe("  - prune: {method: magnitude, sparsity: 0.5}")
      func refusal(
        _ recipe: Recipe, _ source: MemorySource, _ tool: ToolIdentity = Sample.tool,
        hashing: Bool = true
      ) throws -> String {
        let plan = try Planner.plan(
          recipe, for: source, options: PlanOptions(workers: 1, hashing: hashing, durable: false))
        return Sample.message { try Self.run(plan, folder, resume: true, tool: tool) }
      }
      #expect(
        try refusal(recipe, source, ToolIdentity(version: "2", fingerprint: "f"))
          .contains("the tool's version was 1 and is now 2"))
      #expect(
        try refusal(recipe, source, ToolIdentity(version: "1", fingerprint: "g"))
          .contains("the numeric path was f and is now g"))
      #expect(try refusal(try Sample.recipe(), source).contains("the recipe was"))
      #expect(try refusal(recipe, source, hashing: false).contains("hashing was on"))
      try source.add("more", [3])
      #expect(try refusal(recipe, source).contains("the model's list of tensors was"))
    }
  }

  @Test func outputsThatWouldDestroySomethingAreRefused() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try FileManager.default.copyItem(
        atPath: SharedFiles.fixture("nanollama"), toPath: folder + "/m")
      try FileManager.default.removeItem(atPath: folder + "/m/model.h5")
      let source = try CheckpointOpener.open(folder + "/m")
      let plan = try Sample.plan(try Sample.recipe(), source)
      for output in ["/m", "/m/model.safetensors", "/none/out.h5"] {
        let text = Sample.message {
          _ = try CompressionRun.run(
            plan, target: .init(output: folder + output, force: true), identity: Sample.tool)
        }
        #expect(text != "accepted", "\(output)")
      }
      #expect(throws: Never.self) { try CheckpointOpener.open(folder + "/m") }
    }
  }

  @Test func theOutputMayLieInTheModelsFolder() throws {
    try SharedFiles.withTemporaryFolder { folder in
      for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        try FileManager.default.copyItem(
          atPath: SharedFiles.fixture("nanollama/" + name), toPath: folder + "/" + name)
      }
      let interruption = Interruption()
      let recipe = try Sample.recipe()
      let text = Sample.message {
        let plan = try Sample.plan(recipe, try CheckpointOpener.open(folder))
        try Self.run(plan, folder, interruption: interruption) { event in
          if case .tensor(let record, _) = event, record.index == 5 { interruption.request() }
        }
      }
      #expect(text.contains("--resume"), "\(text)")
      // The work folder is in the model's folder now, and is no change of the model.
      let plan = try Sample.plan(recipe, try CheckpointOpener.open(folder))
      try Self.run(plan, folder, resume: true)
      #expect(throws: Never.self) {
        try ArtefactFile(path: folder + "/out.h5").verify(pool: .serial)
      }
    }
  }

  @Test func aChangedModelFileIsNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let model = folder + "/model.safetensors"
      try FileManager.default.copyItem(
        atPath: SharedFiles.fixture("nanollama/model.safetensors"), toPath: model)
      let interruption = Interruption()
      let recipe = try Sample.recipe()
      _ = Sample.message {
        let plan = try Sample.plan(recipe, try CheckpointOpener.open(model))
        try Self.run(plan, folder, interruption: interruption) { event in
          if case .tensor(let record, _) = event, record.index == 5 { interruption.request() }
        }
      }
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: 1_000_000)], ofItemAtPath: model)
      let text = Sample.message {
        let plan = try Sample.plan(recipe, try CheckpointOpener.open(model))
        try Self.run(plan, folder, resume: true)
      }
      #expect(text.contains("the model's file was"), "\(text)")
      // Starting over is what the message offers.
      #expect(throws: Never.self) {
        let plan = try Sample.plan(recipe, try CheckpointOpener.open(model))
        try Self.run(plan, folder, force: true)
      }
    }
  }

  @Test func reservationsNeverExceedTheLedger() {
    let ledger = MemoryLedger(limit: 100, isCap: false)
    let state = Mutex((now: 0, most: 0))
    WorkerPool(workers: 4).forEach(40) { index in
      let bytes = [60, 50, 30, 100][index % 4]
      ledger.withReservation(bytes) {
        state.withLock {
          $0.now += bytes
          $0.most = max($0.most, $0.now)
        }
        usleep(200)
        state.withLock { $0.now -= bytes }
      }
    }
    #expect(state.withLock { $0.most } <= 100)
    #expect(state.withLock { $0.now } == 0)
  }

  @Test func manySmallTensorsDoNotRunOutOfFiles() throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = MemorySource()
      for index in 0..<600 { try source.add("\(index)", [4]) }
      let plan = try Planner.plan(
        try Sample.recipe(), for: source, options: PlanOptions(workers: 1, durable: true))
      let most = Mutex(0)
      try Self.run(plan, folder) { event in
        guard case .tensor(let record, _) = event, record.index % 10 == 0 else { return }
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd"))?.count ?? 0
        most.withLock { $0 = max($0, open) }
      }
      // Other tests run beside this one: what counts is that it is far from one a tensor.
      #expect(most.withLock { $0 } < 300)
      #expect(try ArtefactFile(path: folder + "/out.h5").names.count == 600)
    }
  }

  @Test func eventsComeInOrder() {
    let seen = Mutex<[String]>([])
    let events = OrderedEvents(total: 4, totalBytes: 40) { event in
      seen.withLock { list in
        switch event {
        case .tensor(let record, _): list.append("t\(record.index)")
        case .progress(let done, _, _): list.append("p\(done)")
        default: break
        }
      }
    }
    for index in [2, 0, 3, 1] {
      events.advanced(by: 4, of: "")
      events.advanced(by: 6, of: "")
      events.finished(
        TensorRecord(
          index: index, name: "", shape: [], sourceType: "", storedType: "", reason: "",
          compressed: false, elements: 0, sourceBytes: 10, storedBytes: 0))
    }
    #expect(
      seen.withLock { $0 } == [
        "p4", "p10", "p14", "p20", "t0", "p24", "p30", "p34", "p40", "t1", "t2", "t3",
      ])
  }
}
