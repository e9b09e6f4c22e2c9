import Artefacts
import Checkpoints
import Synchronization
import Tensors
import Weights

/// Writes an artefact's tensors back as a dense checkpoint, in their source types.
public enum Decompression {
  /// The tensors that the dense checkpoint will hold, in the artefact's order.
  public static func layout(
    of artefact: ArtefactFile
  ) throws -> [TensorDescription] {
    try artefact.names.map { name in
      let content = try artefact.content(of: name)
      return TensorDescription(
        name: name, dtype: content.sourceType, shape: content.sourceShape,
        storage: .empty, sharesStorageWith: content.tiedTo)
    }
  }

  /// Decodes every tensor into a new checkpoint, in pieces of rows; the caller finishes the sink.
  public static func run(
    _ artefact: ArtefactFile, into output: CheckpointWriter.Output, workers: Int,
    report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws {
    let names = artefact.names
    let pool = WorkerPool(workers: workers)
    let done = Mutex(0)
    @Sendable func finished(_ name: String) {
      // Reported under the lock, so that the count never runs backwards.
      done.withLock {
        $0 += 1
        report(.progress(done: $0, total: names.count, current: name))
      }
    }
    try pool.forEach(names.count) { index in
      let content = try artefact.content(of: names[index])
      defer { finished(names[index]) }
      guard content.tiedTo == nil || !output.sharesStorage else { return }
      switch content.kind {
      case .tensor(let tensor):
        try tensor.bytes.withBuffer { bytes throws(CheckpointError) in
          try output.sink.write(bytes, to: names[index], at: 0)
        }
      case .weight(let weight):
        try decode(weight, content.sourceType, to: names[index], output.sink)
      }
    }
  }

  private static func decode(
    _ weight: CompressedWeight, _ dtype: DType, to name: String, _ sink: any TensorSink
  ) throws {
    let streams = weight.view.layout == .outputsFirst
    let step = streams ? max(1, (4 << 20) / max(1, weight.columns * 4)) : weight.rows
    for first in stride(from: 0, to: weight.rows, by: max(1, step)) {
      let rows = first..<min(first + step, weight.rows)
      let values =
        streams ? weight.decoded(rows: rows).values : weight.decodedInSourceLayout()
      let bytes = try Bytes(count: values.count * dtype.bytes) { target in
        try values.withUnsafeBufferPointer {
          try FloatConversion.encode($0, as: dtype, into: target)
        }
      }
      try bytes.withBuffer { buffer throws(CheckpointError) in
        try sink.write(buffer, to: name, at: first * weight.columns * dtype.bytes)
      }
    }
  }
}
