import JSONText
import Tensors
import Weights

/// How a folder's `quantization_config` says that its weights are kept.
struct ImportScheme: Sendable {
  enum Kind: Sendable {
    case compressedTensors
    case gptq(zeroOffset: UInt8)
    case awq
  }

  let kind: Kind
  let bits: Int
  /// Inputs that share a scale; nil for all of a row.
  let group: Int?
  let symmetric: Bool
  private let path: String

  init(_ config: JSONValue, path: String) throws(InterchangeError) {
    self.path = path
    let method = config["quant_method"]?.string ?? ""
    func unsupported(_ what: String, _ advice: String) -> InterchangeError {
      .unsupported(path: path, what: what, advice: advice)
    }
    func checked(_ bits: Int?) throws(InterchangeError) -> Int {
      guard let bits, (2...8).contains(bits) else {
        throw unsupported(
          "codes of \(bits.map(String.init) ?? "unknown") bits", "2 to 8 bits are read")
      }
      return bits
    }
    switch method {
    case "gptq":
      let version = config["checkpoint_format"]?.string ?? "gptq"
      guard version == "gptq" || version == "gptq_v2" else {
        throw unsupported("checkpoint_format '\(version)'", "gptq and gptq_v2 are read")
      }
      kind = .gptq(zeroOffset: version == "gptq" ? 1 : 0)
      bits = try checked(config["bits"]?.int)
      symmetric = config["sym"]?.bool ?? false
      group = config["group_size"]?.int.flatMap { $0 > 0 ? $0 : nil }
    case "awq":
      guard config["version"]?.string?.lowercased() ?? "gemm" == "gemm" else {
        throw unsupported(
          "AWQ version '\(config["version"]?.string ?? "")'", "the GEMM layout is read")
      }
      kind = .awq
      bits = try checked(config["bits"]?.int ?? config["w_bit"]?.int)
      guard bits == 4 else { throw unsupported("AWQ with \(bits) bits", "it has 4") }
      symmetric = !(config["zero_point"]?.bool ?? true)
      group = (config["group_size"]?.int ?? config["q_group_size"]?.int).flatMap {
        $0 > 0 ? $0 : nil
      }
    case "compressed-tensors":
      let groups = config["config_groups"]?.object?.members.map(\.value) ?? []
      let format = config["format"]?.string ?? groups.first?["format"]?.string ?? ""
      guard format == CompressedTensors.format, groups.count == 1,
        let weights = groups[0]["weights"]
      else {
        throw unsupported(
          "compressed-tensors format '\(format)' with \(groups.count) groups",
          "'pack-quantized' with one group is read")
      }
      guard weights["type"]?.string ?? "int" == "int" else {
        throw unsupported("codes of type '\(weights["type"]?.string ?? "")'", "integers are read")
      }
      kind = .compressedTensors
      bits = try checked(weights["num_bits"]?.int)
      symmetric = weights["symmetric"]?.bool ?? true
      group = weights["group_size"]?.int.flatMap { $0 > 0 ? $0 : nil }
    default:
      throw unsupported(
        "quant_method '\(method)'", "gptq, awq and compressed-tensors are read")
    }
  }

  var title: String {
    switch kind {
    case .compressedTensors: "compressed-tensors"
    case .gptq(let offset): offset == 1 ? "GPTQ" : "GPTQ v2"
    case .awq: "AWQ"
    }
  }

  /// The part that every quantized module has.
  var marker: String {
    if case .compressedTensors = kind { ".weight_packed" } else { ".qweight" }
  }

  /// A module's weight from its parts.
  func weight(_ parts: ImportParts) throws -> CompressedWeight {
    switch kind {
    case .compressedTensors: try compressedTensors(parts)
    case .gptq(let offset): try gptq(parts, zeroOffset: offset)
    case .awq: try awq(parts)
    }
  }

  private func compressedTensors(_ parts: ImportParts) throws -> CompressedWeight {
    let shape = try parts.integers(".weight_shape", count: 2)
    let (rows, columns) = (shape[0], shape[1])
    let length = try groupLength(columns: columns, parts)
    let groups = columns / length
    guard rows > 0, rows < 1 << 31, columns < 1 << 31 else {
      throw malformed(parts, ".weight_shape", "\(shape)", "two extents")
    }
    // Before the spring of 2026 words had gaps where bits do not divide 32.
    let dense = PackedWords.count(codes: columns, bits: bits)
    let found = try parts.shape(".weight_packed")
    guard found == [rows, dense] else {
      let gapped = (columns + 32 / bits - 1) / (32 / bits)
      throw InterchangeError.malformed(
        path: path, item: parts.module + ".weight_packed", found: "\(found)",
        expected: "\([rows, dense])"
          + (found == [rows, gapped] ? " (an older file with gaps between words)" : ""))
    }
    let words = try parts.words(".weight_packed", shape: found)
    var codes: [UInt8] = []
    codes.reserveCapacity(rows * columns)
    for row in 0..<rows {
      codes += PackedWords.codes(
        Array(words[row * dense..<(row + 1) * dense]), count: columns, bits: bits)
    }
    let scales = try parts.floats(".weight_scale", count: rows * groups)
    let zeros: [UInt8]
    if symmetric {
      zeros = middle(rows * groups)
    } else {
      let zeroWords = try parts.words(
        ".weight_zero_point", shape: [PackedWords.count(codes: rows, bits: bits), groups])
      let transposed = PackedWords.codes(
        wordsFirst: zeroWords, lines: groups, length: rows, bits: bits)
      zeros = (0..<rows * groups).map { transposed[$0 % groups * rows + $0 / groups] }
    }
    return try assembled(parts, rows, columns, length, codes, scales, zeros, order: nil)
  }

  private func gptq(_ parts: ImportParts, zeroOffset: UInt8) throws -> CompressedWeight {
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
    var order: [Int]?
    if parts.has(".g_idx") {
      let index = try parts.integers(".g_idx", count: columns)
      order = try inputOrder(index, length: length, groups: groups, parts)
    }
    return try assembled(
      parts, rows, columns, length, codes, try scales(parts, rows, groups), zeros, order: order)
  }

  private func awq(_ parts: ImportParts) throws -> CompressedWeight {
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
    let (values, dtype) = try parts.floats(".scales", count: rows * groups)
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

  /// For act-order's groups: the inputs with those of a group side by side; nil when they are.
  private func inputOrder(
    _ index: [Int], length: Int, groups: Int, _ parts: ImportParts
  ) throws -> [Int]? {
    if index.enumerated().allSatisfy({ $0.element == $0.offset / length }) { return nil }
    var members = [[Int]](repeating: [], count: groups)
    for (input, group) in index.enumerated() {
      guard members.indices.contains(group) else {
        throw malformed(parts, ".g_idx", "group \(group)", "0 to \(groups - 1)")
      }
      members[group].append(input)
    }
    guard members.allSatisfy({ $0.count == length }) else {
      throw malformed(parts, ".g_idx", "groups of different sizes", "\(length) inputs each")
    }
    return Array(members.joined())
  }

  private func assembled(
    _ parts: ImportParts, _ rows: Int, _ columns: Int, _ length: Int, _ codes: [UInt8],
    _ scales: (values: [Float], dtype: DType), _ zeros: [UInt8], order: [Int]?
  ) throws -> CompressedWeight {
    var codes = codes
    if let order {
      let given = codes
      for row in 0..<rows {
        for (position, input) in order.enumerated() {
          codes[row * columns + position] = given[row * columns + input]
        }
      }
    }
    let isCentred = zeros.allSatisfy { $0 == UInt8(1 << (bits - 1)) }
    let type: DType = [.f16, .bf16, .f32].contains(scales.dtype) ? scales.dtype : .f32
    let numbers = UnpackedIntegers(
      rows: rows, columns: columns, bits: bits, group: length, codes: codes,
      scales: scales.values, zeros: zeros)
    var weight = CompressedWeight(
      view: WeightView(rows: rows, columns: columns),
      base: .integer(
        IntegerBase(
          numbers, scaleType: type, symmetric: isCentred, perChannel: length == columns)))
    if let order {
      weight.site = Site(transforms: [
        .permutation(
          Tensor(dtype: .i32, shape: [columns], array: order.map { Int32($0) }))
      ])
    }
    do {
      try weight.validate()
    } catch {
      throw malformed(parts, "", "\(error)", "codes and positive scales")
    }
    return weight
  }

  private func malformed(
    _ parts: ImportParts, _ part: String, _ found: String, _ expected: String
  ) -> InterchangeError {
    .malformed(path: path, item: parts.module + part, found: found, expected: expected)
  }
}
