import Tensors
import Weights

extension StagingBuffer {
  /// Appends a tensor's rows in a floating-point type.
  ///
  /// - Parameter order: the rows in the order in which they are wanted; nil for as they are.
  func append(_ tensor: Tensor, as dtype: DType, order: [Int]? = nil) throws {
    if tensor.dtype == dtype, order == nil { return try append(tensor.bytes) }
    let width = tensor.shape.rowElementCount
    try forEachPiece(
      rows: tensor.shape.rows, bytes: width * max(tensor.dtype.bytes, dtype.bytes), order: order
    ) { rows in
      sources.begin()
      if tensor.dtype == dtype {
        try append(rows.count * width * dtype.bytes) { target in
          try tensor.read(rows, into: target)
        }
        return
      }
      let window = try tensor.window(rows, in: sources)
      try appendFloats(rows.count * width, as: dtype) { target in
        FloatConversion.decode(window.bytes.buffer, as: window.dtype, into: target)
      }
    }
  }

  /// Appends the values of a weight that `decodesByRows`, row after row.
  func append(_ weight: CompressedWeight, as dtype: DType) throws {
    try forEachPiece(rows: weight.rows, bytes: weight.columns * 4, order: nil) { rows in
      guard case .range(let range) = rows else { return }
      try appendFloats(range.count * weight.columns, as: dtype) { target in
        guard let start = target.baseAddress else { return }
        try weight.decode(rows: range, into: start, memory: sources)
      }
    }
  }

  /// Hands out rows in pieces.
  func forEachPiece(
    rows: Int, bytes: Int, order: [Int]?, _ body: (RowSelection) throws -> Void
  ) throws {
    let step = Self.rows(ofBytes: bytes)
    for first in stride(from: 0, to: rows, by: step) {
      let range = first..<min(first + step, rows)
      try body(order.map { .list($0[range]) } ?? .range(range))
    }
  }

  /// Appends values that a closure makes as f32: at their place where that is the type.
  private func appendFloats(
    _ count: Int, as dtype: DType, _ fill: (UnsafeMutableBufferPointer<Float>) throws -> Void
  ) throws {
    try append(count * dtype.bytes) { target in
      // An odd number of bytes before it leaves the place between two floats.
      if dtype == .f32, UInt(bitPattern: target.baseAddress) % 4 == 0 {
        return try fill(target.bindMemory(to: Float.self))
      }
      let floats = values(count)
      try fill(floats)
      try FloatConversion.encode(UnsafeBufferPointer(floats), as: dtype, into: target)
    }
  }
}
