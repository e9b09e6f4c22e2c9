import Tensors
import Weights

/// compressed-tensors' `pack-quantized`: integer weights for float activations (ptq.md, F1).
///
/// Codes are kept as ours are, less their sign: stored u = q + 2^(b−1). Since the spring of 2026
/// words are one dense stream; before, 3, 5, 6 and 7 bits left gaps, so those widths need a reader
/// of that age or younger.
enum PackedIntegers {
  static func tensors(
    _ base: IntegerBase, _ module: String, order: InputOrder?
  ) -> [ExportTensor] {
    let (rows, columns, bits) = (base.rows, base.columns, base.grid.bits)
    let words = PackedWords.count(codes: columns, bits: bits)
    let groups = base.scales.shape.elementCount / max(base.scales.shape.rows, 1)
    var result = [
      packed(base, module, words: words, order: order),
      ExportTensor(
        module + ".weight_scale", base.grid.scaleType,
        base.grid.granularity == .tensor ? [1] : [rows, groups], of: base.scales.bytes),
      ExportTensor(module + ".weight_shape", .i64, [2]) { Bytes([Int64(rows), Int64(columns)]) },
    ]
    if let order, let length = base.grid.groupLength {
      result.append(
        ExportTensor(module + ".weight_g_idx", .i32, [columns]) {
          Bytes(order.groups(length: length))
        })
    }
    if base.zeros != nil {
      let zeroRows = base.grid.granularity == .tensor ? 1 : rows
      result.append(
        ExportTensor(
          module + ".weight_zero_point", .i32,
          [PackedWords.count(codes: zeroRows, bits: bits), groups]
        ) {
          let zeros = base.unpackedZeros()
          return Bytes(
            PackedWords.wordsFirst(lines: groups, length: zeroRows, bits: bits) {
              zeros[$1 * groups + $0]
            })
        })
    }
    return result
  }

  private static func packed(
    _ base: IntegerBase, _ module: String, words: Int, order: InputOrder?
  ) -> ExportTensor {
    let (name, shape) = (module + ".weight_packed", [base.rows, words])
    let ends = PackedCodes.bytes(count: base.columns, bits: base.grid.bits) == words * 4
    if ends, order == nil { return ExportTensor(name, .i32, shape, of: base.codes.bytes) }
    let holding = 12 * base.rows * words + (order == nil ? 0 : 3 * base.rows * base.columns)
    return ExportTensor(name, .i32, shape, holding: holding) {
      padded(order.map { base.restored($0) } ?? base, words: words)
    }
  }

  /// Our rows end at a byte, theirs at a word.
  private static func padded(_ base: IntegerBase, words: Int) -> Bytes {
    let stride = PackedCodes.bytes(count: base.columns, bits: base.grid.bits)
    if stride == words * 4 { return base.codes.bytes }
    var bytes = [UInt8](repeating: 0, count: base.rows * words * 4)
    base.codes.bytes.withBuffer { source in
      for row in 0..<base.rows {
        for index in 0..<stride { bytes[row * words * 4 + index] = source[row * stride + index] }
      }
    }
    return Bytes(bytes)
  }
}
