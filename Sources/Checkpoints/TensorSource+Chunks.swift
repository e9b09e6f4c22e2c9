import Tensors

extension TensorSource {
  /// The bytes that all values take when decoded; the largest number when they are more than that.
  public var totalByteCount: Int { Self.totalByteCount(of: tensors) }

  /// The bytes that the values of tensors take; the largest number when they are more than that.
  ///
  /// A compressed file can declare tensors whose sum is beyond 64 bits, though each is below.
  static func totalByteCount(of tensors: [TensorDescription]) -> Int {
    tensors.reduce(0) { total, tensor in
      let (sum, overflow) = total.addingReportingOverflow(tensor.byteCount)
      return overflow ? Int.max : sum
    }
  }

  /// Hands out a tensor's bytes in order, in pieces of at most `maximumBytes`.
  ///
  /// Contiguous tensors are read with pread, so that no mapped page counts against a memory cap,
  /// and are cut anywhere; encoded ones are decoded by rows, and a single row that is larger than
  /// the limit is decoded whole, then handed out in pieces. Pieces end at a multiple of 8 bytes.
  ///
  /// - Parameters:
  ///   - tensor: one of `tensors`.
  ///   - maximumBytes: at least 8.
  ///   - body: gets the bytes, aligned for any element, and their offset in the tensor.
  public func forEachChunk(
    of tensor: TensorDescription, maximumBytes: Int = 8 << 20,
    _ body: (UnsafeRawBufferPointer, Int) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    precondition(maximumBytes >= 8, "no room for an element")
    guard tensor.byteCount > 0 else { return }
    let limit = maximumBytes & ~7
    if case .contiguous(let path, let offset) = tensor.storage {
      let file = try ReadOnlyFile(path: path)
      try withBuffer(min(limit, tensor.byteCount)) { buffer throws(CheckpointError) in
        var done = 0
        while done < tensor.byteCount {
          let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer[0..<min(limit, tensor.byteCount - done)])
          try file.read(at: offset + done, into: part)
          try body(UnsafeRawBufferPointer(part), done)
          done += part.count
        }
      }
      return
    }
    let rows = tensor.shape.rows
    let rowsPerRead = max(1, limit / tensor.rowByteCount)
    try withBuffer(min(rowsPerRead, rows) * tensor.rowByteCount) { buffer throws(CheckpointError) in
      for first in stride(from: 0, to: rows, by: rowsPerRead) {
        let range = first..<min(first + rowsPerRead, rows)
        let part = UnsafeMutableRawBufferPointer(
          rebasing: buffer[0..<range.count * tensor.rowByteCount])
        try read(tensor, rows: range, into: part)
        for begin in stride(from: 0, to: part.count, by: limit) {
          try body(
            UnsafeRawBufferPointer(rebasing: part[begin..<min(begin + limit, part.count)]),
            first * tensor.rowByteCount + begin)
        }
      }
    }
  }
}

private func withBuffer(
  _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void
) throws(CheckpointError) {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
  defer { buffer.deallocate() }
  try body(buffer)
}
