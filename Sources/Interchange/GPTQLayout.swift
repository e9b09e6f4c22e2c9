import JSONText
import Tensors
import Weights

/// GPTQ's tensors (ptq.md, F2): codes packed along the inputs, words first.
///
/// Version 1 stores zero points less one, so that a zero point of 0 becomes the largest code;
/// version 2 stores them as they are.
enum GPTQLayout {
  static func tensors(
    _ base: IntegerBase, _ module: String, zeroOffset: UInt8, order: InputOrder? = nil
  ) -> [ExportTensor] {
    let (rows, columns, bits) = (base.rows, base.columns, base.grid.bits)
    let group = base.grid.groupLength ?? columns
    let groups = columns / group
    let top = UInt8((1 << bits) - 1)
    // Codes are read whole; in another order they are unpacked too.
    let codes = base.codes.bytes.count + (order == nil ? 0 : 3 * rows * columns)
    return [
      ExportTensor(
        module + ".qweight", .i32, [PackedWords.count(codes: columns, bits: bits), rows],
        holding: codes,
        pouring: { try $0.append(wordsFirst: order.map { base.restored($0) } ?? base) }),
      ExportTensor(
        module + ".qzeros", .i32, [groups, PackedWords.count(codes: rows, bits: bits)],
        holding: 2 * rows * groups,
        pouring: { staging in
          let zeros = base.unpackedZeros()
          // A few groups at a time: a cache line holds a row's next ones.
          let step = 16
          var points = [UInt8](repeating: 0, count: step * rows)
          for first in stride(from: 0, to: groups, by: step) {
            let count = min(step, groups - first)
            for row in 0..<rows {
              for group in 0..<count {
                points[group * rows + row] =
                  (zeros[row * groups + first + group] &- zeroOffset) & top
              }
            }
            for group in 0..<count {
              let run = PackedCodes.pack(
                Array(points[group * rows..<(group + 1) * rows]), bits: bits)
              try staging.append(run, padded: PackedWords.count(codes: rows, bits: bits) * 4)
            }
          }
        }),
      ExportTensor(
        module + ".scales", .f16, [groups, rows], holding: 12 * rows * groups,
        pouring: { try $0.append(transposedScalesOf: base) }),
      ExportTensor(module + ".g_idx", .i32, [columns]) {
        Bytes(order?.groups(length: group) ?? (0..<columns).map { Int32($0 / group) })
      },
    ]
  }

  /// Scales as groups × outputs in f16.
  static func transposed(scales: [Float], rows: Int) throws -> Bytes {
    let groups = scales.count / max(rows, 1)
    var values: [Float] = []
    values.reserveCapacity(scales.count)
    for group in 0..<groups {
      for row in 0..<rows { values.append(scales[row * groups + group]) }
    }
    return try PlainValues.bytes(values, as: .f16)
  }

  /// - Parameter isOrdered: whether some groups do not lie together.
  static func configuration(_ grid: IntegerGrid?, version: Int, isOrdered: Bool) -> JSONValue {
    guard let grid else { return .null }
    return [
      "quant_method": "gptq", "bits": JSONValue(grid.bits),
      "group_size": JSONValue(grid.groupLength ?? -1), "desc_act": JSONValue(isOrdered),
      "sym": JSONValue(grid.symmetric), "lm_head": false,
      "checkpoint_format": version == 1 ? "gptq" : "gptq_v2", "meta": ["quantizer": ["pith"]],
    ]
  }
}
