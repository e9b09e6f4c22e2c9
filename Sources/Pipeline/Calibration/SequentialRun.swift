import Architectures
import Models
import RunRecords
import Tensors

/// A run that gathers its statistics on the way: for each block of the model, in order, the inputs
/// of a site, the jobs of the layers that read it, and on through what these left.
///
/// A resumed run takes the same way: finished layers are read back from their parts, and a site all
/// of whose readers are finished is only passed. The statistics of the rest are the same bits.
final class SequentialRun {
  private let calibration: CalibrationPlan
  private let executor: JobExecutor
  private let dense: PropagatedWeights
  private let weights: PropagatedWeights

  private var plan: Plan { executor.plan }
  private var schedule: CalibrationSchedule { calibration.schedule }
  private var description: ModelDescription { calibration.model.description }

  init(_ calibration: CalibrationPlan, executor: JobExecutor) throws {
    self.calibration = calibration
    self.executor = executor
    dense = try PropagatedWeights(executor.plan.source)
    weights = try PropagatedWeights(executor.plan.source)
  }

  func run() throws {
    try finish(schedule.before)
    // What comes behind the last input that is still needed goes without.
    guard let end = lastNeeded() else { return try finishRest(from: 0) }
    let batch = TokenBatch(
      try calibration.text.sequences(
        of: calibration.model, memoryLimit: plan.memoryLimit, pool: executor.pool))
    let runner = try makeRunner(propagated, batch)
    let denseRunner = calibration.watchesDrift ? try makeRunner(dense, batch) : nil
    let steps = CalibrationForecast.steps(
      description, schedule, calibration.propagation, watchesDrift: calibration.watchesDrift,
      lengths: calibration.text.lengths)
    for block in description.blocks.prefix(end.block + 1) {
      let isLast = block.index == end.block && !needsHead
      switch calibration.propagation {
      case .layers:
        try passInSteps(block, runner, denseRunner, isLast: isLast, lastSite: end.site)
      case .blocks: try pass(block, runner, isLast: isLast)
      case .none: try passDense(block, runner, isLast: isLast)
      }
      executor.events.worked(
        Double(steps[block.index].work) * 2e6 / CalibrationForecast.rate,
        on: "calibration, block \(block.index + 1) of \(description.blocks.count)")
    }
    try finishRest(from: end.block + 1)
    if needsHead { try finishHead(runner) }
  }

  private func makeRunner(
    _ provider: PropagatedWeights, _ batch: TokenBatch
  ) throws -> BlockwiseRunner {
    let runner = try BlockwiseRunner(
      provider, batch: batch, memoryLimit: plan.holdsStates ? .max : 0,
      passRows: BlockwiseRunner.passRows(description), folder: executor.folder.path,
      pool: executor.pool)
    let executor = executor
    runner.willPass = { try executor.checkInterruption() }
    return runner
  }

  /// What the states go through.
  private var propagated: PropagatedWeights {
    calibration.propagation == .none ? dense : weights
  }

  private var needsHead: Bool { isNeeded(schedule.head) }

  /// Whether a calibrated job is still to be done among some.
  private func isNeeded(_ indices: [Int]) -> Bool {
    indices.contains { schedule.calibrated.contains($0) && executor[$0] == nil }
  }

  /// The last block and site whose input is still needed; the model's last when the head's is.
  private func lastNeeded() -> (block: Int, site: Int)? {
    if needsHead, let last = schedule.blocks.indices.last {
      return (last, schedule.blocks[last].count - 1)
    }
    for (block, sites) in schedule.blocks.enumerated().reversed() {
      if let site = sites.lastIndex(where: isNeeded) { return (block, site) }
    }
    return nil
  }

  /// Runs jobs and lets what they left take the place of the dense weights.
  private func finish(_ indices: [Int], _ statistics: [String: InputStatistics] = [:]) throws {
    try executor.run(indices) { planned in
      Self.input(of: planned, in: statistics)
    }
    for index in indices {
      if let entry = executor[index]?.entry { weights.add(entry) }
    }
  }

  private static func input(
    of planned: PlannedTensor, in statistics: [String: InputStatistics]
  ) -> InputStatistics? {
    guard planned.decision.isCalibrated else { return nil }
    return CalibrationStatistics(sites: statistics).input(ofTensor: planned.tensor.name)
  }

  private func finishRest(from block: Int) throws {
    for sites in schedule.blocks.dropFirst(block) { try finish(sites.flatMap { $0 }) }
    if !needsHead { try finish(schedule.head) }
  }
}

// MARK: The three ways through a block

extension SequentialRun {
  /// Site by site: each input comes through the layers before it, compressed already.
  private func passInSteps(
    _ block: BlockDescription, _ runner: BlockwiseRunner, _ denseRunner: BlockwiseRunner?,
    isLast: Bool, lastSite: Int
  ) throws {
    var prepared = try PreparedBlock(normsOf: block, from: weights)
    let denseBlock = try denseRunner.map { _ in try PreparedBlock(block, from: dense) }
    let jobs = schedule.blocks[block.index]
    for (number, site) in block.sites.enumerated() {
      if isLast, number > lastSite {
        try finish(jobs[number])
        continue
      }
      if isNeeded(jobs[number]) {
        let collector = collector(for: [site], runner)
        var drift: DriftStatistics?
        if let denseRunner, let denseBlock {
          var found = DriftStatistics(
            width: site.width, streamWidth: streamWidth(ofSite: number))
          try runner.step(prepared, beside: denseRunner, denseBlock) { own, other in
            try collector.observe(site, own.input, rows: own.rows.count)
            found.add(
              inputs: .init(dense: other.input, own: own.input),
              stream: .init(dense: other.stream, own: own.stream), rows: own.rows.count,
              pool: executor.pool)
          }
          drift = found
        } else {
          try runner.step(prepared) { own in
            try collector.observe(site, own.input, rows: own.rows.count)
          }
        }
        release(behind: number, &prepared)
        var statistics = collector.take([site])
        statistics[site.name]?.drift = drift
        try finish(jobs[number], statistics)
      } else {
        try runner.step(prepared)
        if let denseRunner, let denseBlock { try denseRunner.step(denseBlock) }
        release(behind: number, &prepared)
        try finish(jobs[number])
      }
      if !(isLast && number == lastSite) { try prepared.load(site: number, from: weights) }
    }
    guard !isLast else { return }
    try runner.finish(prepared)
    if let denseRunner, let denseBlock { try denseRunner.finish(denseBlock) }
  }

  /// The width of the stream that the output of a site's reader is added to; nil where it is not,
  /// or where a norm follows the sum, which no weight can make good.
  private func streamWidth(ofSite site: Int) -> Int? {
    guard calibration.target == .stream, description.normalization.placement == .before,
      site == 1 || site == 3
    else { return nil }
    return description.hiddenSize
  }

  /// Lets the layers go that no further step reads; the feed-forward part runs again at the end, as
  /// what lies within it is too wide to be kept.
  private func release(behind site: Int, _ block: inout PreparedBlock) {
    if site == 1 || site == 2 { block.unload(site: site - 1) }
  }

  /// All sites of the dense block at once, then on through the compressed one.
  private func pass(
    _ block: BlockDescription, _ runner: BlockwiseRunner, isLast: Bool
  ) throws {
    let jobs = schedule.blocks[block.index]
    let needed = zip(block.sites, jobs).filter { isNeeded($0.1) }.map(\.0)
    let collector = collector(for: needed, runner)
    if !needed.isEmpty {
      try runner.observe(PreparedBlock(block, from: dense), collector)
    }
    try finish(jobs.flatMap { $0 }, collector.take(needed))
    if !isLast { try runner.advance(through: PreparedBlock(block, from: weights)) }
  }

  /// All sites of the dense block at once, and on through it.
  private func passDense(
    _ block: BlockDescription, _ runner: BlockwiseRunner, isLast: Bool
  ) throws {
    let jobs = schedule.blocks[block.index]
    let needed = zip(block.sites, jobs).filter { isNeeded($0.1) }.map(\.0)
    let collector = collector(for: needed, runner)
    let prepared = try PreparedBlock(block, from: dense)
    if isLast {
      try runner.observe(prepared, collector)
    } else {
      try runner.advance(through: prepared, observer: needed.isEmpty ? nil : collector)
    }
    try finish(jobs.flatMap { $0 }, collector.take(needed))
  }

  private func finishHead(_ runner: BlockwiseRunner) throws {
    guard let head = description.head else { return }
    let name = plan.tensors[schedule.head[0]].tensor.name
    let site = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
    var statistics = InputStatistics(site: site, width: head.width)
    try runner.headInputs { hidden in
      try hidden.values.withUnsafeBufferPointer { x in
        guard let start = x.baseAddress else { return }
        try statistics.add(start, rows: hidden.rows, batch: 1, pool: executor.pool)
      }
    }
    try finish(schedule.head, [site: statistics])
  }

  private func collector(
    for sites: [SiteDescription], _ runner: BlockwiseRunner
  ) -> CalibrationCollector {
    let collector = CalibrationCollector(
      for: description, sites: Set(sites.map(\.name)), pool: executor.pool)
    collector.begin(runner.batch)
    return collector
  }
}
