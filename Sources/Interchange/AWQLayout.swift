import JSONText
import Tensors
import Weights

/// AutoAWQ's GEMM layout (ptq.md, F3): 4-bit codes packed along the outputs, in an order of its
/// own within each word.
enum AWQLayout {
  static func tensors(_ base: IntegerBase, _ module: String) -> [ExportTensor] {
    let (rows, columns) = (base.rows, base.columns)
    let groups = columns / (base.grid.groupLength ?? columns)
    return [
      ExportTensor(
        module + ".qweight", .i32, [columns, rows / 8],
        pouring: { staging in
          if columns % 16 == 0 { return try staging.append(awq: base) }
          try staging.append(Bytes(packed(base.unpacked().codes, lines: rows, length: columns)))
        }),
      ExportTensor(module + ".qzeros", .i32, [groups, rows / 8]) {
        // Eight times the middle.
        if base.zeros == nil {
          return Bytes([UInt32](repeating: 0x8888_8888, count: groups * rows / 8))
        }
        return Bytes(packed(base.unpacked().zeros, lines: rows, length: groups))
      },
      ExportTensor(
        module + ".scales", .f16, [groups, rows],
        pouring: { try $0.append(transposedScalesOf: base) }),
    ]
  }

  /// A matrix `lines × length`, transposed and packed along the lines.
  private static func packed(_ codes: [UInt8], lines: Int, length: Int) -> [UInt32] {
    var words: [UInt32] = []
    words.reserveCapacity(lines * length / 8)
    var run = [UInt8](repeating: 0, count: lines)
    for index in 0..<length {
      for line in 0..<lines { run[line] = codes[line * length + index] }
      words += PackedWords.awq(run[...])
    }
    return words
  }

  static func configuration(_ grid: IntegerGrid?, left: [String]) -> JSONValue {
    guard let grid else { return .null }
    return [
      "quant_method": "awq", "version": "gemm", "bits": JSONValue(grid.bits),
      "group_size": JSONValue(grid.groupLength ?? -1), "zero_point": JSONValue(!grid.symmetric),
      "modules_to_not_convert": .array(left.map { .string($0) }),
    ]
  }
}
