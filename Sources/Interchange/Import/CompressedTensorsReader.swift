import Tensors
import Weights

/// One module's tensors in compressed-tensors' layouts, taken apart.
struct CompressedTensorsReader {
  let group: CompressedTensorsImport.Group
  let parts: ImportParts
  let path: String

  private var form: CompressedTensorsForm { group.form }

  func weight() throws -> CompressedWeight {
    let base: Base
    switch form.format {
    case .packed: base = .integer(try packed())
    case .integers: base = .integer(try integers())
    case .floats, .mxfp8: base = .table(try floats())
    case .naive: base = group.isFloat ? .table(try floats()) : .integer(try integers())
    case .nvfp4, .mxfp4: base = .table(try smallFloats())
    }
    let (rows, columns) =
      switch base {
      case .integer(let base): (base.rows, base.columns)
      case .table(let base): (base.rows, base.columns)
      default: (0, 0)
      }
    return CompressedWeight(view: WeightView(rows: rows, columns: columns), base: base)
  }

  // MARK: Integers

  private func packed() throws -> IntegerBase {
    let shape = try parts.integers(".weight_shape", shape: [2])
    let (rows, columns, bits) = (shape[0], shape[1], form.bits)
    guard rows > 0, columns > 0, rows < 1 << 31, columns < 1 << 31 else {
      throw malformed(".weight_shape", "\(shape)", "two extents")
    }
    // Before the spring of 2026 words had gaps where bits do not divide 32.
    let dense = PackedWords.count(codes: columns, bits: bits)
    let found = try parts.shape(".weight_packed")
    guard found == [rows, dense] else {
      let gapped = (columns + 32 / bits - 1) / (32 / bits)
      throw malformed(
        ".weight_packed", "\(found)",
        "\([rows, dense])"
          + (found == [rows, gapped] ? " (an older file with gaps between words)" : ""))
    }
    let words = try parts.words(".weight_packed", shape: found)
    var codes: [UInt8] = []
    codes.reserveCapacity(rows * columns)
    for row in 0..<rows {
      codes += PackedWords.codes(
        Array(words[row * dense..<(row + 1) * dense]), count: columns, bits: bits)
    }
    let reach = try Reach(form.reach, rows: rows, columns: columns, self)
    var zeros: [UInt8]?
    if !form.symmetric {
      let lines = reach.scaleRows
      let zeroWords = try parts.words(
        ".weight_zero_point",
        shape: [PackedWords.count(codes: lines, bits: bits), reach.scaleColumns])
      let transposed = PackedWords.codes(
        wordsFirst: zeroWords, lines: reach.scaleColumns, length: lines, bits: bits)
      zeros = (0..<lines * reach.scaleColumns).map {
        transposed[$0 % reach.scaleColumns * lines + $0 / reach.scaleColumns]
      }
    }
    return try base(codes, zeros, rows: rows, columns: columns, reach)
  }

  /// A byte a code, less the middle.
  private func integers() throws -> IntegerBase {
    let shape = try parts.shape(".weight")
    guard shape.count == 2, shape[0] > 0, shape[1] > 0 else {
      throw malformed(".weight", "\(shape)", "outputs × inputs")
    }
    let codes = try centred(".weight", shapes: [shape])
    let reach = try Reach(form.reach, rows: shape[0], columns: shape[1], self)
    var zeros: [UInt8]?
    if !form.symmetric {
      zeros = reach.spread(try centred(".weight_zero_point", shapes: reach.fileShapes))
    }
    return try base(codes, zeros, rows: shape[0], columns: shape[1], reach)
  }

  private func centred(_ part: String, shapes: [[Int]]) throws -> [UInt8] {
    let bytes = try parts.bytes(part, type: .i8, shapes: shapes).array(of: Int8.self)
    let middle = 1 << (form.bits - 1)
    return try bytes.map { byte in
      let code = Int(byte) + middle
      guard (0..<2 * middle).contains(code) else {
        throw malformed(part, "\(byte)", "codes of \(form.bits) bits")
      }
      return UInt8(code)
    }
  }

  private func base(
    _ codes: [UInt8], _ zeros: [UInt8]?, rows: Int, columns: Int, _ reach: Reach
  ) throws -> IntegerBase {
    let (values, dtype) = try scales(reach)
    let middle = UInt8(1 << (form.bits - 1))
    let isCentred = zeros?.allSatisfy { $0 == middle } ?? true
    return IntegerBase(
      UnpackedIntegers(
        rows: rows, columns: columns, bits: form.bits, group: reach.length, codes: codes,
        scales: values, zeros: isCentred ? [] : zeros ?? []),
      scaleType: dtype, symmetric: isCentred, granularity: reach.granularity)
  }

  // MARK: Floats

  /// E4M3, a byte each.
  private func floats() throws -> TableBase {
    let shape = try parts.shape(".weight")
    guard shape.count == 2, shape[0] > 0, shape[1] > 0 else {
      throw malformed(".weight", "\(shape)", "outputs × inputs")
    }
    let codes = try parts.bytes(".weight", type: .f8e4m3, shape: shape)
    let reach = try Reach(form.reach, rows: shape[0], columns: shape[1], self)
    let isByte = try parts.dtype(".weight_scale") == .u8
    let scales: Tensor
    if isByte {
      scales = Tensor(
        dtype: .u8, shape: [shape[0], reach.scaleColumns],
        array: try parts.bytes(
          ".weight_scale", type: .u8, shape: [shape[0], reach.scaleColumns]
        ).array(of: UInt8.self))
    } else {
      let (values, dtype) = try self.scales(reach)
      scales = .encoded(values, as: dtype, shape: [reach.scaleRows, reach.scaleColumns])
    }
    let scaleFormat: ScaleFormat =
      switch scales.dtype {
      case .u8: .e8m0
      case .f16: .f16
      case .bf16: .bf16
      default: .f32
      }
    return TableBase(
      grid: try TableGrid(
        format: .minifloat(.e4m3), granularity: reach.granularity, scaleFormat: scaleFormat),
      rows: shape[0], columns: shape[1],
      codes: try Tensor(dtype: .u8, shape: Shape(shape), bytes: codes), scales: scales)
  }

  /// E2M1, two a byte, under E4M3 or powers of two.
  private func smallFloats() throws -> TableBase {
    let shape = try parts.shape(".weight_packed")
    guard shape.count == 2, shape[0] > 0, shape[1] > 0, shape[1] < 1 << 30 else {
      throw malformed(".weight_packed", "\(shape)", "outputs × half the inputs")
    }
    let (rows, columns) = (shape[0], shape[1] * 2)
    let isNV = form.format == .nvfp4
    let length = isNV ? 16 : 32
    guard form.reach == .group(length), columns % length == 0 else {
      throw malformed(".weight_packed", "\(columns) inputs", "a multiple of \(length)")
    }
    var codes = try parts.bytes(".weight_packed", type: .u8, shape: shape).array(of: UInt8.self)
    var scales = try parts.bytes(
      ".weight_scale", type: isNV ? .f8e4m3 : .u8, shape: [rows, columns / length]
    ).array(of: UInt8.self)
    var factors: Tensor?
    if isNV {
      let divisor = try parts.float(".weight_global_scale")
      guard divisor.isFinite, divisor > 0, (1 / divisor).isNormal else {
        throw malformed(".weight_global_scale", "\(divisor)", "a positive number")
      }
      factors = Tensor(dtype: .f32, shape: [1], array: [1 / divisor])
      // A scale of nothing makes zeros of its codes; here no scale is zero, and the codes are.
      for (index, scale) in scales.enumerated() where scale == 0 {
        scales[index] = 1
        for byte in index * length / 2..<(index + 1) * length / 2 { codes[byte] = 0 }
      }
    }
    return TableBase(
      grid: try TableGrid(
        format: .minifloat(.e2m1), granularity: .group(length),
        scaleFormat: isNV ? .e4m3 : .e8m0),
      rows: rows, columns: columns,
      codes: Tensor(dtype: .u8, shape: Shape(shape), array: codes),
      scales: Tensor(
        dtype: isNV ? .f8e4m3 : .u8, shape: [rows, columns / length], array: scales),
      factors: factors)
  }

  // MARK: Scales

  /// How scales lie, in our terms.
  struct Reach {
    let granularity: Granularity
    /// Inputs that share a scale.
    let length: Int
    let scaleRows: Int
    let scaleColumns: Int
    /// Outputs that share a scale in the file, and what it has of them in a column.
    private let blockRows: Int

    init(
      _ reach: CompressedTensorsForm.Reach, rows: Int, columns: Int,
      _ reader: CompressedTensorsReader
    ) throws {
      var blockRows = 1
      switch reach {
      case .tensor: (granularity, length) = (.tensor, columns)
      case .channel: (granularity, length) = (.channel, columns)
      case .group(let run): (granularity, length) = (.group(run), run)
      case .block(let rows, let run):
        blockRows = rows
        (granularity, length) = run >= columns ? (.channel, columns) : (.group(run), run)
      }
      guard columns % length == 0 else {
        throw reader.malformed("", "groups of \(length) for \(columns) inputs", "a divisor")
      }
      self.blockRows = blockRows
      scaleRows = reach == .tensor ? 1 : rows
      scaleColumns = reach == .tensor ? 1 : columns / length
    }

    /// The shapes that a file's scales may have.
    var fileShapes: [[Int]] {
      switch granularity {
      case .tensor: ImportParts.ofOne
      case .channel where blockRows == 1: [[scaleRows, 1], [scaleRows]]
      case .channel, .group:
        [[(scaleRows + blockRows - 1) / blockRows, scaleColumns]]
      }
    }

    /// What a file has one of for each of its scales, as one for each of ours.
    func spread<Value>(_ values: [Value]) -> [Value] {
      if blockRows == 1 { return values }
      return (0..<scaleRows * scaleColumns).map {
        values[$0 / scaleColumns / blockRows * scaleColumns + $0 % scaleColumns]
      }
    }
  }

  private func scales(_ reach: Reach) throws -> (values: [Float], dtype: DType) {
    let (found, dtype) = try parts.floats(".weight_scale", shapes: reach.fileShapes)
    return (reach.spread(found), [.f16, .bf16, .f32].contains(dtype) ? dtype : .f32)
  }

  private func malformed(
    _ part: String, _ found: String, _ expected: String
  ) -> InterchangeError {
    .malformed(path: path, item: parts.module + part, found: found, expected: expected)
  }
}
