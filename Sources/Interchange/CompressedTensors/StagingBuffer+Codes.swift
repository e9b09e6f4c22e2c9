import Tensors
import Weights

extension StagingBuffer {
  /// Appends a base's codes less their middle, one a byte.
  func append(centredCodesOf base: IntegerBase) throws {
    let (bits, columns) = (base.grid.bits, base.columns)
    let stride = PackedCodes.bytes(count: columns, bits: bits)
    let middle = UInt8(1 << (bits - 1))
    try forEachPiece(rows: base.rows, bytes: columns, order: nil) { rows in
      sources.begin()
      let window = try base.codes.window(rows, in: sources)
      try append(rows.count * columns) { target in
        guard let from = window.bytes.buffer.baseAddress, let to = target.baseAddress else {
          return
        }
        for row in 0..<rows.count {
          PackedCodes.unpack(
            from + row * stride, count: columns, bits: bits, into: to + row * columns)
        }
        for index in target.indices { target[index] &-= middle }
      }
    }
  }
}
