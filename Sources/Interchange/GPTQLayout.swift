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
    return [
      ExportTensor(
        module + ".qweight", .i32, [PackedWords.count(codes: columns, bits: bits), rows],
        pouring: { try $0.append(wordsFirst: order.map { base.restored($0) } ?? base) }),
      ExportTensor(
        module + ".qzeros", .i32, [groups, PackedWords.count(codes: rows, bits: bits)],
        pouring: { staging in
          let zeros = base.zeros.map { _ in base.unpacked().zeros }
          var run = [UInt8](repeating: (UInt8(1 << (bits - 1)) &- zeroOffset) & top, count: rows)
          for group in 0..<groups {
            if let zeros {
              for row in 0..<rows { run[row] = (zeros[row * groups + group] &- zeroOffset) & top }
            }
            let packed = PackedCodes.pack(run, bits: bits)
            try staging.append(PackedWords.count(codes: rows, bits: bits) * 4) { target in
              target.copyBytes(from: packed)
              for index in packed.count..<target.count { target[index] = 0 }
            }
          }
        }),
      ExportTensor(
        module + ".scales", .f16, [groups, rows],
        pouring: { try $0.append(transposedScalesOf: base) }),
      ExportTensor(module + ".g_idx", .i32, [columns]) {
        Bytes(order?.groups(length: group) ?? (0..<columns).map { Int32($0 / group) })
      },
    ]
  }

  /// Scales as groups × outputs in f16.
  static func transposedScales(_ numbers: UnpackedIntegers) throws -> Bytes {
    let groups = numbers.groups
    var values: [Float] = []
    values.reserveCapacity(numbers.scales.count)
    for group in 0..<groups {
      for row in 0..<numbers.rows { values.append(numbers.scales[row * groups + group]) }
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
