import Architectures
import Artefacts
import Checkpoints
import Digests
import RunRecords
import Tensors
import Weights

/// One tensor's way from the source to a part file.
///
/// Three roads, chosen by what the stages need: values that are stored as they are and weights
/// whose stages see one row at a time go through in pieces of a few hundred rows; the others are
/// in memory whole.
struct TensorJob {
  let planned: PlannedTensor
  let source: any TensorSource
  let part: PartFile
  let hashing: Bool
  let interruption: Interruption
  let workFolder: String
  /// Of the input that the weight multiplies, for calibrated stages.
  var statistics: InputStatistics?
  /// The workers that a job may use which runs alone; beside others it has one.
  var pool: WorkerPool = .serial
  /// Told how many bytes of the source are done, piece by piece.
  let advance: (Int) -> Void

  /// Bytes of source values that are in memory at once on the streaming roads: small enough that
  /// a piece is still in the cache when it is hashed and encoded.
  static let pieceBytes = 512 << 10

  /// What the job left in its part.
  struct Outcome {
    var content: ArtefactEntry.Content
    var sourceHash: String?
    var error: ErrorSums?
    var notes: [String]
  }

  func run() throws -> Outcome {
    switch planned.decision {
    case .tied(let name):
      advance(tensor.byteCount)
      return Outcome(content: .tied(to: name), notes: [])
    case .leave:
      return try copy()
    case .compress(let compression):
      if let encoder = try compression.rowEncoder() {
        return try quantizeStreaming(compression, encoder)
      }
      return try compressWhole(compression)
    }
  }

  var tensor: TensorDescription { planned.tensor }

  /// Calls a body with one piece of rows after another.
  func forEachPiece(
    _ body: (_ rows: Range<Int>, _ bytes: UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    let rows = tensor.shape.rows
    let rowBytes = max(tensor.rowByteCount, 1)
    let step = max(1, Self.pieceBytes / rowBytes)
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(step, max(rows, 1)) * rowBytes, alignment: 64)
    defer { buffer.deallocate() }
    var row = 0
    while row < rows {
      guard !interruption.isRequested else { throw PipelineError.interrupted(folder: workFolder) }
      let range = row..<min(row + step, rows)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<range.count * rowBytes])
      try source.read(tensor, rows: range, into: piece)
      try body(range, piece)
      advance(piece.count)
      row = range.upperBound
    }
  }

  private func copy() throws -> Outcome {
    let payload = PartPayload(in: part, byteCount: tensor.byteCount, hashing: hashing)
    if tensor.byteCount > 0 {
      try forEachPiece { rows, bytes in
        // A NaN that is copied today is a model that says nothing tomorrow.
        if let index = FloatConversion.firstNonFinite(
          UnsafeRawBufferPointer(bytes), as: tensor.dtype)
        {
          throw nonFinite(at: rows.lowerBound * tensor.shape.rowElementCount + index)
        }
        try payload.append(UnsafeRawBufferPointer(bytes))
      }
    }
    let hash = payload.finish()
    let dataset = ArtefactDataset(
      path: "", dtype: tensor.dtype, shape: tensor.shape, sha256: hash,
      location: PartLocation(file: part.path, offset: payload.offset))
    return Outcome(content: .tensor(dataset), sourceHash: hash, notes: [])
  }

  func compressWhole(_ compression: TensorDecision.Compression) throws -> Outcome {
    let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 64)
    defer { raw.deallocate() }
    try source.read(tensor, rows: 0..<tensor.shape.rows, into: raw)
    let sourceHash = hashing ? SHA256.hexadecimal(of: UnsafeRawBufferPointer(raw)) : nil
    let values = [Float](unsafeUninitializedCapacity: tensor.shape.elementCount) {
      let target = UnsafeMutableBufferPointer(rebasing: $0[0..<tensor.shape.elementCount])
      FloatConversion.decode(UnsafeRawBufferPointer(raw), as: tensor.dtype, into: target)
      $1 = tensor.shape.elementCount
    }
    // Looked for in what was decoded: a finite f64 may be too large for the f32 of the stages.
    let index = values.withUnsafeBytes { FloatConversion.firstNonFinite($0, as: .f32) }
    if let index { throw nonFinite(at: index) }
    let original = compression.view.matrix(from: values)
    var notes = compression.notes
    let weight = try StageRunner.run(
      try StageRunner.target(original, compression, statistics, pool: pool), compression,
      sourceType: tensor.dtype, tensor: tensor.name, statistics: statistics, pool: pool,
      notes: &notes)
    guard !interruption.isRequested else { throw PipelineError.interrupted(folder: workFolder) }
    advance(tensor.byteCount)
    let encoded = weight.encodedParts()
    let datasets = try part.append(encoded.parts, hashing: hashing)
    var sums = ErrorSums()
    let rowsAtOnce = max(1, Self.pieceBytes / max(1, weight.columns * 4))
    for first in stride(from: 0, to: weight.rows, by: rowsAtOnce) {
      let range = first..<min(first + rowsAtOnce, weight.rows)
      let approximation = weight.decoded(rows: range)
      original.values.withUnsafeBufferPointer { values in
        approximation.values.withUnsafeBufferPointer { decoded in
          sums += ErrorSums(
            original: UnsafeBufferPointer(
              rebasing: values[
                range.lowerBound * weight.columns..<range.upperBound * weight.columns]),
            approximation: decoded)
        }
      }
    }
    return Outcome(
      content: .weight(attributes: attributes(encoded.attributes), datasets: datasets),
      sourceHash: sourceHash, error: sums, notes: notes)
  }

  func nonFinite(at index: Int) -> PipelineError {
    .nonFinite(file: source.path, tensor: tensor.name, index: index)
  }

  /// The attributes of a weight's group: what the parts say, and what the source said.
  func attributes(_ parts: [String: AttributeValue]) -> [String: AttributeValue] {
    var result = parts
    result[ArtefactEntry.sourceTypeAttribute] = .string(tensor.dtype.rawValue)
    return result
  }
}
