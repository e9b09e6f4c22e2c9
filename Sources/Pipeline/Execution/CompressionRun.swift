import Artefacts
import Checkpoints
import Foundation
import LinearAlgebra
import Quantization
import RunRecords
import Synchronization
import Tensors
import Weights

/// The only function that writes: runs a plan and leaves an artefact.
public enum CompressionRun {
  /// What to write, and what to do with what is there.
  public struct Target: Sendable {
    public var output: String
    public var force: Bool
    public var resume: Bool
    public init(output: String, force: Bool = false, resume: Bool = false) {
      self.output = output
      self.force = force
      self.resume = resume
    }
  }

  /// Runs the plan.
  ///
  /// Finished tensors go to part files and a journal in a work folder beside the output; the whole
  /// is assembled, flushed and renamed at the end. Until then an existing output is untouched.
  ///
  /// - Throws: `PipelineError`; after `.interrupted`, or a kill, the same call with
  ///   `target.resume` goes on and ends in the same bytes.
  public static func run(
    _ plan: Plan, target: Target, identity tool: ToolIdentity,
    interruption: Interruption = Interruption(),
    report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> RunRecord {
    let clock = ContinuousClock.now
    try checkTarget(plan, target)
    let folder = WorkFolder(output: target.output)
    let identity = RunIdentity(plan: plan, tool: tool)
    let (journal, finished) = try openJournal(plan, target, folder, identity)
    let outcome: [FinishedTensor]
    do {
      outcome = try runJobs(
        plan, folder: folder, journal: journal, finished: finished, interruption: interruption,
        report: report)
    } catch {
      cleanUp(folder, after: error)
      throw error
    }
    guard !interruption.isRequested else { throw PipelineError.interrupted(folder: folder.path) }

    let entries = outcome.map(\.entry)
    report(.assembling(bytes: plan.forecast.storedBytes))
    try ArtefactWriter.assemble(
      header: header(plan, tool: tool, outcome), entries: entries, target: target.output,
      workPath: folder.assemblyPath, durable: plan.options.durable,
      pool: WorkerPool(workers: plan.options.workers))
    folder.remove()

    var record = RunRecord(
      command: "compress", toolVersion: tool.version, model: plan.source.path)
    record.recipeName = plan.recipe.name
    record.recipeHash = plan.recipe.hash
    record.modelFormat = plan.source.format
    record.output = target.output
    record.fingerprint = tool.fingerprint
    record.workers = plan.options.workers
    record.memoryLimit = plan.options.memoryLimit
    record.warnings = plan.warnings
    record.tensors = outcome.map(\.record)
    for tensor in record.tensors { record.totals.add(tensor) }
    record.totals.fileBytes = try ReadOnlyFile(path: target.output).size
    record.peakResidentBytes = ProcessMemory.peakResidentBytes
    record.seconds = (ContinuousClock.now - clock).inSeconds
    return record
  }

  private static func checkTarget(_ plan: Plan, _ target: Target) throws {
    let output = URL(fileURLWithPath: target.output).resolvingSymlinksInPath().path
    for file in Set(plan.source.tensors.compactMap(\.storage.file) + [plan.source.path])
    where URL(fileURLWithPath: file).resolvingSymlinksInPath().path == output {
      throw PipelineError.outputIsModel(target.output)
    }
    guard FileIO.kind(of: target.output) != .folder else {
      throw PipelineError.file(
        path: target.output, reason: "a folder of this name is in the way; choose another --output")
    }
    if FileManager.default.fileExists(atPath: target.output), !target.force, !target.resume {
      throw PipelineError.outputExists(target.output)
    }
    // Resuming replaces an output only when there is work that will become it.
    let folder = WorkFolder(output: target.output)
    if FileManager.default.fileExists(atPath: target.output), !target.force, !folder.exists {
      throw PipelineError.nothingToResume(folder: folder.path)
    }
    let parent = FileIO.folder(of: target.output)
    guard FileIO.kind(of: parent) == .folder else {
      throw PipelineError.file(
        path: target.output, reason: "the folder '\(parent)' does not exist; make it first")
    }
    // What an unfinished run holds is part of what this one needs.
    let free =
      FileIO.availableBytes(inFolder: parent) + folder.heldBytes
    guard free >= plan.forecast.diskBytes else {
      throw PipelineError.diskTooSmall(
        needed: plan.forecast.diskBytes, free: free, folder: parent)
    }
  }

  /// Removes the work of a run that would fail again in the same way; what is left over from the
  /// others is there to go on with.
  private static func cleanUp(_ folder: WorkFolder, after error: any Error) {
    switch error {
    case PipelineError.nonFinite, PipelineError.stage: folder.remove()
    default: break
    }
  }

  private static func openJournal(
    _ plan: Plan, _ target: Target, _ folder: WorkFolder, _ identity: RunIdentity
  ) throws -> (Journal, [FinishedTensor]) {
    let hasJournal = FileManager.default.fileExists(atPath: folder.journalPath)
    if target.resume, hasJournal {
      let (journal, finished) = try Journal.resume(
        path: folder.journalPath, identity: identity, durable: plan.options.durable)
      return (journal, finished.filter(folder.holdsPart))
    }
    // A run that was killed before its journal existed has nothing to take over, and one that
    // had just finished has nothing left to do: both start afresh.
    if hasJournal, !target.force { throw PipelineError.unfinishedRun(folder: folder.path) }
    try folder.create()
    let journal = try Journal.create(
      path: folder.journalPath, identity: identity, durable: plan.options.durable)
    return (journal, [])
  }

  private static func runJobs(
    _ plan: Plan, folder: WorkFolder, journal: Journal, finished: [FinishedTensor],
    interruption: Interruption, report: @escaping @Sendable (RunEvent) -> Void
  ) throws -> [FinishedTensor] {
    let before = Dictionary(finished.map { ($0.record.index, $0) }) { _, last in last }
    if !before.isEmpty { report(.resumed(tensors: before.count, of: plan.tensors.count)) }
    let events = OrderedEvents(
      total: plan.tensors.count, totalBytes: plan.forecast.sourceBytes, report: report)
    let ledger = MemoryLedger(limit: plan.jobMemory)
    let pool = WorkerPool(workers: plan.options.workers)
    do {
      let outcome = try pool.map(plan.tensors.count) { index in
        if let taken = before[index] {
          events.advanced(by: taken.record.sourceBytes, of: taken.record.name)
          events.finished(taken.record)
          return taken
        }
        guard !interruption.isRequested else {
          throw PipelineError.interrupted(folder: folder.path)
        }
        let planned = plan.tensors[index]
        return try ledger.withReservation(planned.peakBytes) {
          let tensor = try finish(planned, plan, folder, journal, interruption, events)
          events.finished(tensor.record)
          return tensor
        }
      }
      try journal.flush()
      return outcome
    } catch {
      // What was finished counts, whatever stopped the rest.
      try? journal.flush()
      throw error
    }
  }

  private static func finish(
    _ planned: PlannedTensor, _ plan: Plan, _ folder: WorkFolder, _ journal: Journal,
    _ interruption: Interruption, _ events: OrderedEvents
  ) throws -> FinishedTensor {
    let start = ContinuousClock.now
    let part = try PartFile(path: folder.partPath(index: planned.index))
    let job = TensorJob(
      planned: planned, source: plan.source, part: part, hashing: plan.options.hashing,
      interruption: interruption, workFolder: folder.path,
      statistics: plan.calibration?.input(of: planned.tensor.name),
      advance: { events.advanced(by: $0, of: planned.tensor.name) })
    let outcome: TensorJob.Outcome
    do {
      outcome = try job.run()
    } catch let error
      where error is WeightsError || error is LinearAlgebraError
      || error is QuantizationError
    {
      throw PipelineError.stage(
        file: plan.source.path, tensor: planned.tensor.name, reason: "\(error)")
    }
    let entry = ArtefactEntry(name: planned.tensor.name, content: outcome.content)
    let compressed = if case .compress = planned.decision { true } else { false }
    let record = TensorRecord(
      index: planned.index, name: planned.tensor.name, shape: planned.tensor.shape.dimensions,
      sourceType: planned.tensor.dtype.rawValue, storedType: planned.storedType,
      reason: planned.reason, compressed: compressed, elements: planned.tensor.shape.elementCount,
      sourceBytes: planned.tensor.byteCount,
      storedBytes: entry.datasets.reduce(0) { $0 + $1.byteCount },
      error: outcome.error.map(WeightError.init), seconds: (ContinuousClock.now - start).inSeconds,
      notes: outcome.notes)
    let tensor = FinishedTensor(
      entry: entry, record: record, sourceHash: outcome.sourceHash, partBytes: part.end)
    try journal.add(tensor, part: part)
    return tensor
  }

  private static func header(
    _ plan: Plan, tool: ToolIdentity, _ outcome: [FinishedTensor]
  ) -> ArtefactHeader {
    var hashes: [String: String] = [:]
    for tensor in outcome { hashes[tensor.entry.name] = tensor.sourceHash }
    return ArtefactHeader(
      toolVersion: tool.version, configuration: plan.source.metadata.configuration,
      companions: Companions(of: plan.source).texts, recipeName: plan.recipe.name,
      recipe: plan.recipe.canonicalJSON.text(.canonical),
      recipeHash: plan.recipe.hash, sourceFormat: plan.source.format,
      sourceMetadata: plan.source.metadata.strings, sourceHashes: hashes,
      calibrationHash: plan.calibration?.hash,
      keyValueScheme: plan.recipe.keyValueCache.map { KeyValueScheme($0) }, seed: plan.recipe.seed,
      fingerprint: tool.fingerprint)
  }
}
