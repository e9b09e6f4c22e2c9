import Architectures
import Artefacts
import Checkpoints
import Models
import RunRecords
import Tensors
import Weights

/// Measures an artefact against the model that it was made from.
public enum ArtefactComparison {
  /// Compares every tensor, in pieces of rows, and sums up.
  ///
  /// - Parameter statistics: of the layers' inputs; with them each weight gets its output error.
  /// - Throws: `PipelineError.tensorMissing`, `.shapeMismatch`, `ModelError` for a cache of keys and
  ///   values that does not fit the model, or what reading throws.
  public static func run(
    _ artefact: ArtefactFile, against model: any TensorSource, toolVersion: String, workers: Int,
    statistics: CalibrationStatistics? = nil,
    report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> RunRecord {
    let clock = ContinuousClock.now
    let names = artefact.names
    let edited = artefact.header.editedTensors
    let byName = Dictionary(model.tensors.map { ($0.name, $0) }) { first, _ in first }
    let stored = Set(names)
    if let extra = model.tensors.first(where: { !stored.contains($0.name) }) {
      throw PipelineError.tensorMissing(tensor: extra.name, path: artefact.path)
    }
    let totalBytes = model.tensors.reduce(0) { $0 + $1.byteCount }
    let events = OrderedEvents(total: names.count, totalBytes: totalBytes, report: report)
    let pool = WorkerPool(workers: workers)
    let measured = try pool.map(names.count) { index -> (record: TensorRecord, sums: ErrorSums?) in
      let name = names[index]
      if edited.contains(name) {
        // An edited weight is another weight; what the model says is all that can be compared.
        let record = try listing(name, index: index, artefact)
        events.finished(record)
        return (record, nil)
      }
      guard let tensor = byName[name] else {
        throw PipelineError.tensorMissing(tensor: name, path: model.path)
      }
      let result = try measure(name, index: index, artefact, tensor, model, statistics)
      events.advanced(by: tensor.byteCount, of: name)
      events.finished(result.record)
      return result
    }
    var record = RunRecord(command: "validate", toolVersion: toolVersion, model: model.path)
    record.modelFormat = model.format
    record.output = artefact.path
    record.recipeName = artefact.header.recipeName
    record.recipeHash = artefact.header.recipeHash
    record.fingerprint = artefact.header.fingerprint
    record.workers = workers
    record.tensors = measured.map(\.record)
    var total = ErrorSums()
    for (tensor, sums) in measured {
      record.totals.add(tensor)
      if let sums { total += sums }
    }
    if total.count > 0 || edited.isEmpty { record.totals.error = WeightError(total) }
    if !edited.isEmpty {
      record.warnings.append(
        "\(edited.count) tensors were edited (scaled, rotated) before they were compressed and have "
          + "no error of their own; compare what the model says with --data")
    }
    let cache = try KeyValueRecord.stored(in: artefact.header, path: artefact.path) {
      try ArtefactWeights(artefact).description
    }
    if let cache {
      record.keyValueCache = cache.record
      record.warnings += cache.warning.map { [$0] } ?? []
    }
    record.totals.fileBytes = try ReadOnlyFile(path: artefact.path).size
    record.peakResidentBytes = ProcessMemory.peakResidentBytes
    record.seconds = (ContinuousClock.now - clock).inSeconds
    return record
  }

  /// A tensor that is not the model's any more: sizes, no error.
  private static func listing(
    _ name: String, index: Int, _ artefact: ArtefactFile
  ) throws -> TensorRecord {
    let stored = try artefact.content(of: name)
    let isCompressed = if case .weight = stored.kind { true } else { false }
    let elements = stored.sourceShape.elementCount
    return TensorRecord(
      index: index, name: name, shape: stored.sourceShape.dimensions,
      sourceType: stored.sourceType.rawValue, storedType: stored.typeName,
      reason: "edited before", compressed: isCompressed, elements: elements,
      sourceBytes: elements * stored.sourceType.bytes,
      storedBytes: stored.tiedTo == nil ? stored.byteCount : 0)
  }

  private static func measure(
    _ name: String, index: Int, _ artefact: ArtefactFile, _ tensor: TensorDescription,
    _ model: any TensorSource, _ statistics: CalibrationStatistics?
  ) throws -> (record: TensorRecord, sums: ErrorSums?) {
    let start = ContinuousClock.now
    let stored = try artefact.content(of: name)
    guard stored.sourceShape == tensor.shape else {
      throw PipelineError.shapeMismatch(
        tensor: name, artefact: stored.sourceShape.dimensions, model: tensor.shape.dimensions,
        path: model.path)
    }
    let sums: ErrorSums?
    var outputError: Double?
    var reason = stored.tiedTo.map { "tied to \($0)" } ?? "stored"
    let isCompressed: Bool
    switch stored.kind {
    case .weight(let weight):
      isCompressed = true
      sums = try DenseComparison.sums(of: weight, against: tensor, in: model)
      let input = try statistics?.input(ofTensor: tensor.name, columns: weight.columns)
      outputError = try input?.gram.map {
        try OutputError.relative(of: weight, against: tensor, in: model, gram: $0)
      }
    case .tensor(let values):
      isCompressed = false
      sums = try DenseComparison.sums(of: values, against: tensor, in: model)
      reason = sums == nil ? "the same as the model's" : "not the same as the model's"
    }
    var error = sums.map(WeightError.init)
    error?.outputRelative = outputError
    let record = TensorRecord(
      index: index, name: name, shape: tensor.shape.dimensions, sourceType: tensor.dtype.rawValue,
      storedType: stored.typeName, reason: reason,
      compressed: isCompressed, elements: tensor.shape.elementCount, sourceBytes: tensor.byteCount,
      storedBytes: stored.tiedTo == nil ? stored.byteCount : 0, error: error,
      seconds: (ContinuousClock.now - start).inSeconds)
    return (record, sums)
  }
}

/// Error sums of a compressed weight against its dense original.
enum DenseComparison {
  static func sums(
    of weight: CompressedWeight, against tensor: TensorDescription, in model: any TensorSource
  ) throws -> ErrorSums {
    var sums = ErrorSums()
    // Outputs-last tensors have their rows across the file: they are turned in memory, whole.
    let streams = weight.view.layout == .outputsFirst
    let step = streams ? max(1, (4 << 20) / max(1, weight.columns * 4)) : weight.rows
    for first in stride(from: 0, to: weight.rows, by: max(1, step)) {
      let rows = first..<min(first + step, weight.rows)
      let original = try floats(of: tensor, rows: streams ? rows : nil, in: model)
      let matrix =
        streams
        ? Matrix(rows: rows.count, columns: weight.columns, values: original)
        : weight.view.matrix(from: original)
      if let index = matrix.values.firstIndex(where: { !$0.isFinite }) {
        throw PipelineError.nonFinite(
          file: model.path, tensor: tensor.name, index: first * weight.columns + index)
      }
      let decoded = weight.decoded(rows: rows)
      matrix.values.withUnsafeBufferPointer { left in
        decoded.values.withUnsafeBufferPointer { right in
          sums += ErrorSums(original: left, approximation: right)
        }
      }
    }
    return sums
  }

  /// The error of a tensor that is stored as it is; nil when its values are the model's.
  ///
  /// - Throws: `PipelineError.valuesDiffer` for other values of a type that has no error to measure.
  static func sums(
    of stored: Tensor, against tensor: TensorDescription, in model: any TensorSource
  ) throws -> ErrorSums? {
    var isSame = stored.dtype == tensor.dtype
    var sums = ErrorSums()
    let step = max(1, (4 << 20) / max(1, tensor.shape.rowElementCount * 4))
    let rowBytes = tensor.shape.rowElementCount * stored.dtype.bytes
    for first in stride(from: 0, to: tensor.shape.rows, by: step) {
      let rows = first..<min(first + step, tensor.shape.rows)
      let original = try Bytes(count: rows.count * tensor.rowByteCount) { target in
        try model.read(tensor, rows: rows, into: target)
      }
      let piece = UnsafeRawBufferPointer(
        rebasing: stored.bytes.buffer[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
      if stored.dtype == tensor.dtype {
        isSame = original.withBuffer { $0.elementsEqual(piece) } && isSame
      }
      guard stored.dtype.isFloatingPoint, tensor.dtype.isFloatingPoint else { continue }
      let count = rows.count * tensor.shape.rowElementCount
      func floats(_ bytes: UnsafeRawBufferPointer, _ dtype: DType) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
          FloatConversion.decode(bytes, as: dtype, into: .init(rebasing: buffer[0..<count]))
          initialized = count
        }
      }
      let left = original.withBuffer { floats($0, tensor.dtype) }
      let right = floats(piece, stored.dtype)
      left.withUnsafeBufferPointer { left in
        right.withUnsafeBufferPointer { sums += ErrorSums(original: left, approximation: $0) }
      }
    }
    withExtendedLifetime(stored) {}
    if isSame { return nil }
    guard stored.dtype.isFloatingPoint, tensor.dtype.isFloatingPoint else {
      throw PipelineError.valuesDiffer(tensor: tensor.name, path: model.path)
    }
    // Another type for the same numbers is no difference.
    return sums.squaredError == 0 ? nil : sums
  }

  /// Rows of a tensor as f32; all of them when `rows` is nil.
  static func floats(
    of tensor: TensorDescription, rows: Range<Int>?, in source: any TensorSource
  ) throws -> [Float] {
    let rows = rows ?? 0..<tensor.shape.rows
    let count = rows.count * tensor.shape.rowElementCount
    let bytes = try Bytes(count: count * tensor.dtype.bytes) { target in
      try source.read(tensor, rows: rows, into: target)
    }
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      bytes.withBuffer {
        FloatConversion.decode($0, as: tensor.dtype, into: .init(rebasing: buffer[0..<count]))
      }
      initialized = count
    }
  }
}
