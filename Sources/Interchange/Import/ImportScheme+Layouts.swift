import Tensors
import Weights

/// The layouts of codes, scales and zero points that folders hold, taken apart.
extension ImportScheme {
  func gptq(_ parts: ImportParts, zeroOffset: UInt8) throws -> CompressedWeight {
    let found = try parts.shape(".qweight")
    guard found.count == 2, found[0] * 32 % bits == 0 else {
      throw malformed(parts, ".qweight", "\(found)", "words × outputs")
    }
    let (rows, columns) = (found[1], found[0] * 32 / bits)
    let length = try groupLength(columns: columns, parts)
    let groups = columns / length
    let codes = PackedWords.codes(
      wordsFirst: try parts.words(".qweight", shape: found), lines: rows, length: columns,
      bits: bits)
    let zeroWords = PackedWords.count(codes: rows, bits: bits)
    let words = try parts.words(".qzeros", shape: [groups, zeroWords])
    let top = UInt8((1 << bits) - 1)
    var zeros = [UInt8](repeating: 0, count: rows * groups)
    for group in 0..<groups {
      let run = PackedWords.codes(
        Array(words[group * zeroWords..<(group + 1) * zeroWords]), count: rows, bits: bits)
      for row in 0..<rows { zeros[row * groups + group] = (run[row] &+ zeroOffset) & top }
    }
    let order = parts.has(".g_idx") ? try parts.order(".g_idx", columns, length: length) : nil
    return try assembled(
      parts, rows, columns, length, codes, try scales(parts, rows, groups), zeros, order: order)
  }

  func awq(_ parts: ImportParts) throws -> CompressedWeight {
    let found = try parts.shape(".qweight")
    guard found.count == 2 else {
      throw malformed(parts, ".qweight", "\(found)", "inputs × words")
    }
    let (rows, columns) = (found[1] * 8, found[0])
    let length = try groupLength(columns: columns, parts)
    let groups = columns / length
    func transposed(_ words: [UInt32], _ lines: Int) -> [UInt8] {
      let flat = PackedWords.codes(awq: words[...])
      return (0..<rows * lines).map { flat[$0 % lines * rows + $0 / lines] }
    }
    let codes = transposed(try parts.words(".qweight", shape: found), columns)
    let zeros =
      symmetric && !parts.has(".qzeros")
      ? middle(rows * groups)
      : transposed(try parts.words(".qzeros", shape: [groups, found[1]]), groups)
    return try assembled(
      parts, rows, columns, length, codes, try scales(parts, rows, groups), zeros, order: nil)
  }

  /// Groups × outputs, as outputs × groups.
  private func scales(
    _ parts: ImportParts, _ rows: Int, _ groups: Int
  ) throws -> (values: [Float], dtype: DType) {
    let (values, dtype) = try parts.floats(".scales", shapes: [[groups, rows]])
    return ((0..<rows * groups).map { values[$0 % groups * rows + $0 / groups] }, dtype)
  }

  private func middle(_ count: Int) -> [UInt8] {
    Array(repeating: UInt8(1 << (bits - 1)), count: count)
  }

  private func groupLength(columns: Int, _ parts: ImportParts) throws -> Int {
    let length = group ?? columns
    guard length > 0, columns > 0, columns % length == 0 else {
      throw malformed(parts, "", "groups of \(length) for \(columns) inputs", "a divisor")
    }
    return length
  }

  private func assembled(
    _ parts: ImportParts, _ rows: Int, _ columns: Int, _ length: Int, _ codes: [UInt8],
    _ scales: (values: [Float], dtype: DType), _ zeros: [UInt8], order: InputOrder?
  ) throws -> CompressedWeight {
    let isCentred = zeros.allSatisfy { $0 == UInt8(1 << (bits - 1)) }
    let type: DType = [.f16, .bf16, .f32].contains(scales.dtype) ? scales.dtype : .f32
    let numbers = UnpackedIntegers(
      rows: rows, columns: columns, bits: bits, group: length, codes: codes,
      scales: scales.values, zeros: zeros)
    let base = IntegerBase(
      numbers, scaleType: type, symmetric: isCentred,
      granularity: length == columns ? .channel : .group(length))
    let weight = CompressedWeight(
      view: WeightView(rows: rows, columns: columns),
      base: .integer(order.map { base.ordered($0) } ?? base),
      site: order.map { Site(transforms: [$0.transform]) })
    try parts.check(weight)
    return weight
  }

  private func malformed(
    _ parts: ImportParts, _ part: String, _ found: String, _ expected: String
  ) -> InterchangeError {
    .malformed(path: path, item: parts.module + part, found: found, expected: expected)
  }
}
