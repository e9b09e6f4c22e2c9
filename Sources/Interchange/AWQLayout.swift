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
        module + ".qweight", .i32, [columns, rows / 8], holding: base.codes.bytes.count,
        pouring: { try $0.append(awq: base.codes, rows: rows, columns: columns) }),
      ExportTensor(
        module + ".qzeros", .i32, [groups, rows / 8], holding: 2 * rows * groups,
        pouring: { staging in
          if let zeros = base.zeros, base.grid.granularity != .tensor {
            return try staging.append(awq: zeros, rows: rows, columns: groups)
          }
          // Eight times the same.
          let word = UInt32(base.unpackedZeros().first ?? 8) * 0x1111_1111
          try staging.append(Bytes([UInt32](repeating: word, count: groups * rows / 8)))
        }),
      ExportTensor(
        module + ".scales", .f16, [groups, rows], holding: 12 * rows * groups,
        pouring: { try $0.append(transposedScalesOf: base) }),
    ]
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
