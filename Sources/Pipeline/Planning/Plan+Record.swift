import RunRecords

extension Plan {
  /// The plan as a record, for the reports: sizes are forecasts, nothing has an error yet.
  public func record(toolVersion: String) -> RunRecord {
    var record = RunRecord(command: "plan", toolVersion: toolVersion, model: source.path)
    record.recipeName = recipe.name
    record.recipeHash = recipe.hash
    record.modelFormat = source.format
    record.workers = options.workers
    record.memoryLimit = options.memoryLimit
    record.warnings = warnings
    record.edits = editNotes
    record.keyValueCache = keyValueCache
    for planned in tensors {
      let tensor = TensorRecord(planned)
      record.tensors.append(tensor)
      record.totals.add(tensor)
    }
    record.forecast = ForecastRecord(
      peakBytes: forecast.peakBytes, diskBytes: forecast.diskBytes, seconds: forecast.seconds)
    return record
  }
}

extension TensorRecord {
  /// A planned tensor: what it will become, and why.
  init(_ planned: PlannedTensor) {
    var notes: [String] = []
    var isCompressed = false
    if case .compress(let compression) = planned.decision {
      notes = compression.notes
      isCompressed = true
    }
    self.init(
      index: planned.index, name: planned.tensor.name, shape: planned.tensor.shape.dimensions,
      sourceType: planned.tensor.dtype.rawValue, storedType: planned.storedType,
      reason: planned.reason, compressed: isCompressed,
      elements: planned.tensor.shape.elementCount, sourceBytes: planned.tensor.byteCount,
      storedBytes: planned.storedBytes, seconds: planned.seconds, notes: notes)
  }
}
