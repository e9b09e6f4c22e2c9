import JSONText
import Tensors
import Weights

/// GPTQ's tensors (ptq.md, F2): codes packed along the inputs, words first.
///
/// Version 1 stores zero points less one, so that a zero point of 0 becomes the largest code;
/// version 2 stores them as they are.
enum GPTQLayout {
  static func tensors(
    _ base: IntegerBase, _ module: String, zeroOffset: UInt8
  ) -> [ExportTensor] {
    let (rows, columns, bits) = (base.rows, base.columns, base.grid.bits)
    let group = base.grid.groupLength ?? columns
    let groups = columns / group
    let top = UInt8((1 << bits) - 1)
    return [
      ExportTensor(
        module + ".qweight", .i32, [PackedWords.count(codes: columns, bits: bits), rows]
      ) {
        let codes = base.unpacked().codes
        return Bytes(
          PackedWords.wordsFirst(lines: rows, length: columns, bits: bits) {
            codes[$0 * columns + $1]
          })
      },
      ExportTensor(
        module + ".qzeros", .i32, [groups, PackedWords.count(codes: rows, bits: bits)]
      ) {
        let zeros = base.unpacked().zeros
        return Bytes(
          (0..<groups).flatMap { group in
            PackedWords.stream(
              (0..<rows).map { (zeros[$0 * groups + group] &- zeroOffset) & top }, bits: bits)
          })
      },
      ExportTensor(module + ".scales", .f16, [groups, rows]) {
        try transposedScales(base.unpacked())
      },
      ExportTensor(module + ".g_idx", .i32, [columns]) {
        Bytes((0..<columns).map { Int32($0 / group) })
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

  static func configuration(_ grid: IntegerGrid?, version: Int) -> JSONValue {
    guard let grid else { return .null }
    return [
      "quant_method": "gptq", "bits": JSONValue(grid.bits),
      "group_size": JSONValue(grid.groupLength ?? -1), "desc_act": false,
      "sym": JSONValue(grid.symmetric), "lm_head": false,
      "checkpoint_format": version == 1 ? "gptq" : "gptq_v2", "meta": ["quantizer": ["pith"]],
    ]
  }
}
