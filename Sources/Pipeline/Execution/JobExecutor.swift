import Architectures
import Artefacts
import Checkpoints
import LinearAlgebra
import LowRank
import Pruning
import Quantization
import RunRecords
import Synchronization
import Tensors
import Weights

/// Runs tensors' jobs on the pool and under the memory cap, and notes what is finished.
final class JobExecutor: Sendable {
  let plan: Plan
  let folder: WorkFolder
  let interruption: Interruption
  let pool: WorkerPool
  let events: OrderedEvents
  private let journal: Journal
  private let ledger: MemoryLedger
  /// By number; those of an earlier run from the beginning.
  private let finished: Mutex<[Int: FinishedTensor]>

  init(
    _ plan: Plan, folder: WorkFolder, journal: Journal, finished: [FinishedTensor],
    interruption: Interruption, report: @escaping @Sendable (RunEvent) -> Void
  ) {
    self.plan = plan
    self.folder = folder
    self.journal = journal
    self.interruption = interruption
    self.finished = Mutex(
      Dictionary(finished.map { ($0.record.index, $0) }) { _, last in last })
    // What is kept between jobs no job has asked for: under a cap every one must.
    pool = WorkerPool(
      workers: plan.options.workers, keepsPages: plan.options.memoryLimit == nil)
    ledger = MemoryLedger(limit: plan.jobMemory, isCap: plan.options.memoryLimit != nil)
    events = OrderedEvents(plan, report: report)
  }

  /// The finished tensors in order of their numbers.
  var outcome: [FinishedTensor] {
    finished.withLock { found in plan.tensors.indices.compactMap { found[$0] } }
  }

  /// A finished tensor.
  subscript(index: Int) -> FinishedTensor? { finished.withLock { $0[index] } }

  /// Throws when the run is to stop.
  func checkInterruption() throws(PipelineError) {
    if interruption.isRequested { throw .interrupted(folder: folder.path) }
  }

  /// Runs the jobs of some tensors; those that are finished only report it.
  ///
  /// - Parameter statistics: of a tensor's input, for those with calibrated stages.
  func run(
    _ indices: [Int], statistics: @Sendable (PlannedTensor) -> InputStatistics? = { _ in nil }
  ) throws {
    try pool.forEach(indices.count) { (place: Int) throws -> Void in
      let planned = plan.tensors[indices[place]]
      if let taken = self[planned.index] {
        events.advanced(by: taken.record.sourceBytes, of: taken.record.name)
        events.finished(taken.record)
        return
      }
      try checkInterruption()
      try ledger.withReservation(planned.peakBytes) {
        let tensor = try finish(planned, statistics(planned))
        finished.withLock { $0[planned.index] = tensor }
        events.finished(tensor.record)
      }
    }
  }

  private func finish(
    _ planned: PlannedTensor, _ statistics: InputStatistics?
  ) throws -> FinishedTensor {
    let start = ContinuousClock.now
    let part = try PartFile(path: folder.partPath(index: planned.index))
    let job = TensorJob(
      planned: planned, source: plan.source, part: part, hashing: plan.options.hashing,
      interruption: interruption, workFolder: folder.path, statistics: statistics, pool: pool,
      advance: { self.events.advanced(by: $0, of: planned.tensor.name) })
    let outcome: TensorJob.Outcome
    do {
      outcome = try job.run()
    } catch let error
      where error is WeightsError || error is LinearAlgebraError
      || error is QuantizationError || error is LowRankError || error is PruningError
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
}
