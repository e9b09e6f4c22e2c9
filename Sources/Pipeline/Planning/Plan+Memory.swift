import Tensors

extension Plan {
  /// The cap on the process's memory.
  var memoryLimit: Int { options.memoryLimit ?? ProcessMemory.physicalBytes / 5 * 4 }

  /// What the passes over calibration text take; they come one after the other.
  private var passes: [CalibrationForecast] {
    [calibrationPlan?.forecast, keyValueCalibration?.forecast].compactMap { $0 }
  }

  private var stateBytes: Int? { passes.map(\.stateBytes).max() }

  /// Memory that is taken for a whole run, hidden states not counted: the program, statistics from
  /// a file or those of one block, scratch of the passes.
  private var residentBytes: Int {
    StageForecast.residentBytes(calibration)
      + (passes.map(\.residentBytes).max() ?? 0)
  }

  /// Memory that comes and goes beside it at its least: the largest job, or a block's weights.
  private var leastWorkingBytes: Int {
    max(tensors.map(\.peakBytes).max() ?? 0, passes.map(\.blockBytes).max() ?? 0)
  }

  /// Memory that running jobs may take together.
  var jobMemory: Int {
    let held = residentBytes + (holdsStates ? stateBytes ?? 0 : 0)
    return max(memoryLimit - held, tensors.map(\.peakBytes).max() ?? 0)
  }

  /// Whether the hidden states stay in memory; otherwise they go to a file.
  var holdsStates: Bool {
    guard let states = stateBytes else { return true }
    return residentBytes + leastWorkingBytes + states <= memoryLimit
  }

  /// Counts calibration into the forecast.
  ///
  /// - Throws: `PipelineError.memoryTooSmall`, `.calibrationMemory`.
  mutating func addMemory() throws(PipelineError) {
    let needed = residentBytes + leastWorkingBytes
    if needed > memoryLimit {
      guard let largest = tensors.max(by: { $0.peakBytes < $1.peakBytes }),
        largest.peakBytes + StageForecast.residentBytes(calibration) > memoryLimit
          || passes.isEmpty
      else { throw .calibrationMemory(needed: needed, limit: memoryLimit) }
      throw .memoryTooSmall(needed: needed, limit: memoryLimit, tensor: largest.tensor.name)
    }
    var peak = forecast.peakBytes - StageForecast.baseBytes
    if let states = stateBytes {
      peak = max(peak, passes.map(\.blockBytes).max() ?? 0) + (holdsStates ? states : 0)
      forecast.diskBytes += holdsStates ? 0 : states
      forecast.seconds += passes.map(\.seconds).reduce(0, +) / Double(options.workers)
    }
    forecast.peakBytes = min(peak + residentBytes, memoryLimit)
  }
}
