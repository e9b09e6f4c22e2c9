import Tensors

extension Plan {
  /// The cap on the process's memory.
  var memoryLimit: Int { options.memoryLimit ?? ProcessMemory.physicalBytes / 5 * 4 }

  /// Memory that is taken for a whole run, hidden states not counted: the program, statistics from
  /// a file or those of one block, scratch of the passes.
  private var residentBytes: Int {
    StageForecast.residentBytes(calibration)
      + (calibrationPlan?.forecast.residentBytes ?? 0)
  }

  /// Memory that comes and goes beside it at its least: the largest job, or a block's weights.
  private var leastWorkingBytes: Int {
    max(tensors.map(\.peakBytes).max() ?? 0, calibrationPlan?.forecast.blockBytes ?? 0)
  }

  /// Memory that running jobs may take together.
  var jobMemory: Int {
    let held = residentBytes + (holdsStates ? calibrationPlan?.forecast.stateBytes ?? 0 : 0)
    return max(memoryLimit - held, tensors.map(\.peakBytes).max() ?? 0)
  }

  /// Whether the hidden states stay in memory; otherwise they go to a file.
  var holdsStates: Bool {
    guard let states = calibrationPlan?.forecast.stateBytes else { return true }
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
          || calibrationPlan == nil
      else { throw .calibrationMemory(needed: needed, limit: memoryLimit) }
      throw .memoryTooSmall(needed: needed, limit: memoryLimit, tensor: largest.tensor.name)
    }
    var peak = forecast.peakBytes - StageForecast.baseBytes
    if let calibration = calibrationPlan?.forecast {
      peak = max(peak, calibration.blockBytes) + (holdsStates ? calibration.stateBytes : 0)
      forecast.diskBytes += holdsStates ? 0 : calibration.stateBytes
      forecast.seconds += calibration.seconds / Double(options.workers)
    }
    forecast.peakBytes = min(peak + residentBytes, memoryLimit)
  }
}
