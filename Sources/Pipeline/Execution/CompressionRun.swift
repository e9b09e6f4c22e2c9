import Architectures
import Artefacts
import Checkpoints
import Foundation
import RunRecords
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
    _ given: Plan, target: Target, identity tool: ToolIdentity,
    interruption: Interruption = Interruption(),
    report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> RunRecord {
    let clock = ContinuousClock.now
    try checkTarget(given, target)
    let folder = WorkFolder(output: target.output)
    let identity = RunIdentity(plan: given, tool: tool)
    let (journal, finished) = try openJournal(given, target, folder, identity)
    let plan: Plan
    do {
      plan = try Smoothing.applied(to: given)
    } catch {
      cleanUp(folder, after: error)
      throw error
    }
    let outcome: [FinishedTensor]
    var keyValueScales: KeyValueScales?
    do {
      outcome = try runJobs(
        plan, folder: folder, journal: journal, finished: finished, interruption: interruption,
        report: report)
      if !interruption.isRequested {
        keyValueScales = try plan.keyValueCalibration?.scales(
          plan, outcome.map(\.entry), folder: folder, interruption: interruption)
      }
    } catch {
      cleanUp(folder, after: error)
      throw error
    }
    guard !interruption.isRequested else { throw PipelineError.interrupted(folder: folder.path) }

    let entries = outcome.map(\.entry)
    report(.assembling(bytes: plan.forecast.storedBytes))
    try ArtefactWriter.assemble(
      header: header(plan, tool: tool, outcome, keyValueScales), entries: entries,
      target: target.output,
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
    record.edits = plan.editNotes
    record.tensors = outcome.map(\.record)
    for tensor in record.tensors { record.totals.add(tensor) }
    record.totals.fileBytes = try ReadOnlyFile(path: target.output).size
    record.peakResidentBytes = ProcessMemory.peakResidentBytes
    record.seconds = (ContinuousClock.now - clock).inSeconds
    return record
  }

  private static func checkTarget(_ plan: Plan, _ target: Target) throws {
    let output = URL(fileURLWithPath: target.output).resolvingSymlinksInPath().path
    for file in Set(plan.source.origin.tensors.compactMap(\.storage.file) + [plan.source.path])
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
    case PipelineError.nonFinite, PipelineError.stage, PipelineError.editImpossible,
      ArchitectureError.notFinite:
      folder.remove()
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
    if !finished.isEmpty { report(.resumed(tensors: finished.count, of: plan.tensors.count)) }
    let executor = JobExecutor(
      plan, folder: folder, journal: journal, finished: finished, interruption: interruption,
      report: report)
    do {
      if let calibration = plan.calibrationPlan {
        try SequentialRun(calibration, executor: executor).run()
      } else {
        try executor.run(Array(plan.tensors.indices)) { tensor in
          plan.calibration?.statistics.input(ofTensor: tensor.tensor.name)
        }
      }
      try journal.flush()
      return executor.outcome
    } catch {
      // What was finished counts, whatever stopped the rest.
      try? journal.flush()
      throw error
    }
  }

  private static func header(
    _ plan: Plan, tool: ToolIdentity, _ outcome: [FinishedTensor],
    _ keyValueScales: KeyValueScales?
  ) -> ArtefactHeader {
    var hashes: [String: String] = [:]
    for tensor in outcome { hashes[tensor.entry.name] = tensor.sourceHash }
    let text = plan.calibrationPlan?.text ?? plan.keyValueCalibration?.text
    return ArtefactHeader(
      toolVersion: tool.version, configuration: plan.source.metadata.configuration,
      companions: Companions(of: plan.source).texts, recipeName: plan.recipe.name,
      recipe: plan.recipe.canonicalJSON.text(.canonical),
      recipeHash: plan.recipe.hash, sourceFormat: plan.source.format,
      sourceMetadata: plan.source.metadata.strings, sourceHashes: hashes,
      calibrationHash: plan.calibration?.hash ?? text?.hash,
      calibration: plan.calibration?.statistics.provenance ?? text?.provenance,
      keyValueScheme: plan.recipe.keyValueCache.flatMap { $0.stored == nil ? .init($0) : nil },
      keyValueScales: keyValueScales,
      edits: plan.editSummary, seed: plan.recipe.seed,
      fingerprint: tool.fingerprint)
  }
}
