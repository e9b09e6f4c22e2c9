import Artefacts
import Checkpoints
import Digests
import Tensors
import Weights

extension TensorJob {
  /// Round-to-nearest over pieces of rows: the same bytes as the whole matrix at once.
  func quantizeStreaming(
    _ compression: TensorDecision.Compression, _ encoder: RowEncoder
  ) throws -> Outcome {
    let view = compression.view
    let payloads = EncodedPayloads(encoder, rows: view.rows, in: part, hashing: hashing)
    var sourceHash = hashing ? SHA256() : nil
    var sums = ErrorSums()
    var floats = [Float](repeating: 0, count: 0)
    try forEachPiece { rows, bytes in
      sourceHash?.update(UnsafeRawBufferPointer(bytes))
      let count = rows.count * view.columns
      do {
        if tensor.dtype == .f32 {
          let values = UnsafeBufferPointer(
            start: UnsafePointer(bytes.baseAddress?.assumingMemoryBound(to: Float.self)),
            count: count)
          sums += try payloads.append(values, rows: rows)
        } else {
          if floats.count < count { floats = [Float](repeating: 0, count: count) }
          sums += try floats.withUnsafeMutableBufferPointer { buffer in
            let target = UnsafeMutableBufferPointer(rebasing: buffer[0..<count])
            FloatConversion.decode(UnsafeRawBufferPointer(bytes), as: tensor.dtype, into: target)
            return try payloads.append(UnsafeBufferPointer(target), rows: rows)
          }
        }
      } catch WeightsError.notFinite(let row, let column) {
        throw nonFinite(at: row * view.columns + column)
      }
    }
    let weight = CompressedWeight(view: view, base: try payloads.base(view))
    let encoded = weight.encodedParts()
    let datasets = encoded.parts.map { item in
      let payload = payloads.payload(of: item.tensor)
      return ArtefactDataset(
        path: item.path, dtype: item.tensor.dtype, shape: item.tensor.shape,
        attributes: item.attributes, sha256: payload.finish(),
        location: PartLocation(file: part.path, offset: payload.offset))
    }
    return Outcome(
      content: .weight(attributes: attributes(encoded.attributes), datasets: datasets),
      sourceHash: sourceHash.take()?.hexadecimal(), error: sums, notes: compression.notes)
  }
}

/// Codes, scales and what else belongs to them of one weight on their way to a part file.
private final class EncodedPayloads {
  private let encoder: RowEncoder
  private let part: PartFile
  private let codes: PartPayload
  private let scales: PartPayload
  private let rest: PartPayload?
  private var buffers: [UnsafeMutableRawBufferPointer] = []
  private var bufferRows = 0
  /// The payloads' tensors, mapped from the part file once they are complete.
  private var tensors: [(bytes: Bytes, payload: PartPayload)] = []

  init(_ encoder: RowEncoder, rows: Int, in part: PartFile, hashing: Bool) {
    self.encoder = encoder
    self.part = part
    let bytes = encoder.bytesPerRow
    codes = PartPayload(in: part, byteCount: rows * bytes.codes, hashing: hashing)
    scales = PartPayload(in: part, byteCount: rows * bytes.scales, hashing: hashing)
    rest =
      bytes.rest > 0
      ? PartPayload(in: part, byteCount: rows * bytes.rest, hashing: hashing) : nil
  }

  deinit { for buffer in buffers { buffer.deallocate() } }

  private var payloads: [(payload: PartPayload, bytesPerRow: Int)] {
    let bytes = encoder.bytesPerRow
    return [(codes, bytes.codes), (scales, bytes.scales)] + (rest.map { [($0, bytes.rest)] } ?? [])
  }

  /// Encodes rows and writes what they became.
  func append(_ values: UnsafeBufferPointer<Float>, rows: Range<Int>) throws -> ErrorSums {
    if rows.count > bufferRows {
      for buffer in buffers { buffer.deallocate() }
      buffers = payloads.map {
        .allocate(byteCount: max(1, rows.count * $0.bytesPerRow), alignment: 64)
      }
      bufferRows = rows.count
    }
    guard let codeStart = buffers[0].baseAddress, let scaleStart = buffers[1].baseAddress else {
      return ErrorSums()
    }
    let sums = try encoder.encode(
      values, rows: rows, codes: codeStart, scales: scaleStart,
      rest: rest == nil ? nil : buffers[2].baseAddress)
    for (buffer, item) in zip(buffers, payloads) {
      try item.payload.append(
        UnsafeRawBufferPointer(rebasing: buffer[0..<rows.count * item.bytesPerRow]))
    }
    return sums
  }

  /// The finished base over the part file's own bytes: what describes a weight in memory describes
  /// this one too.
  func base(_ view: WeightView) throws -> Base {
    let file = try ReadOnlyFile(path: part.path)
    func tensor(_ payload: PartPayload, _ dtype: DType, _ shape: Shape) throws -> Tensor {
      let bytes = try file.map(payload.offset..<payload.offset + payload.byteCount)
      tensors.append((bytes, payload))
      return try Tensor(dtype: dtype, shape: shape, bytes: bytes)
    }
    return try encoder.base(
      rows: view.rows, columns: view.columns,
      codes: { try tensor(codes, $0, [view.rows, $1]) },
      scales: { try tensor(scales, $0, [view.rows, $1]) },
      rest: rest.map { rest in { try tensor(rest, $0, $1) } })
  }

  /// The payload behind one of the base's tensors.
  func payload(of tensor: Tensor) -> PartPayload {
    guard let found = tensors.first(where: { $0.bytes === tensor.bytes }) else {
      preconditionFailure("a part that is not one of the base's payloads")
    }
    return found.payload
  }
}
