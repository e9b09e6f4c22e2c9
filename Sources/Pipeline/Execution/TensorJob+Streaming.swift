import Artefacts
import Digests
import Tensors
import Weights

extension TensorDecision.Compression {
  /// The scheme, when round-to-nearest with scales inside a row is all there is to do: then rows
  /// can go through in pieces and a tensor of any size needs a few megabytes.
  var streamingScheme: IntegerScheme? {
    guard view.layout == .outputsFirst, stages.count == 1, case .quantize(let scheme) = stages[0],
      scheme.granularity != .tensor
    else { return nil }
    return scheme
  }
}

extension TensorJob {
  /// Round-to-nearest over pieces of rows: the same bytes as the whole matrix at once.
  func quantizeStreaming(
    _ compression: TensorDecision.Compression, _ scheme: IntegerScheme
  ) throws -> Outcome {
    let view = compression.view
    let encoder = IntegerEncoder(scheme: scheme, columns: view.columns)
    let layout = encoder.layout(rows: view.rows, view: view)
    let payloads = layout.parts.map {
      PartPayload(in: part, byteCount: $0.byteCount, hashing: hashing)
    }
    var sourceHash = hashing ? SHA256() : nil
    var sums = ErrorSums()
    var floats: [Float] = []
    try forEachPiece { rows, bytes in
      sourceHash?.update(UnsafeRawBufferPointer(bytes))
      let piece: EncodedRows
      do {
        if tensor.dtype == .f32 {
          piece = try encoder.encodeRows(
            UnsafeBufferPointer(bytes.assumingMemoryBound(to: Float.self)), rowCount: rows.count)
        } else {
          let count = rows.count * view.columns
          floats = [Float](unsafeUninitializedCapacity: count) {
            FloatConversion.decode(
              UnsafeRawBufferPointer(bytes), as: tensor.dtype, into: .init(rebasing: $0[0..<count]))
            $1 = count
          }
          piece = try floats.withUnsafeBufferPointer {
            try encoder.encodeRows($0, rowCount: rows.count)
          }
        }
      } catch WeightsError.nonFinite(let index) {
        throw PipelineError.nonFinite(
          file: source.path, tensor: tensor.name, index: rows.lowerBound * view.columns + index)
      }
      for (payload, buffer) in zip(payloads, piece.buffers) { try payload.append(buffer.bytes) }
      sums += piece.errors
    }
    var datasets: [ArtefactDataset] = []
    for (payload, item) in zip(payloads, layout.parts) {
      datasets.append(
        ArtefactDataset(
          path: item.path, dtype: item.dtype, shape: item.shape, attributes: item.attributes,
          sha256: payload.finish(),
          location: PartLocation(file: part.path, offset: payload.offset)))
    }
    return Outcome(
      content: .weight(attributes: attributes(layout.attributes), datasets: datasets),
      sourceHash: sourceHash.take()?.hexadecimal(), error: sums, notes: compression.notes)
  }
}
