import Tensors

extension Base {
  /// Checks a base that came from a file against the size it must have.
  ///
  /// - Throws: `WeightsError` naming the part below `part`.
  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    switch self {
    case .dense(let dense):
      try dense.values.check(
        part: part + "/values", types: [.f32, .f16, .bf16, .f64], shape: [rows, columns])
      try dense.values.checkFinite(part: part + "/values")
    case .integer(let integer):
      try integer.validate(part: part, rows: rows, columns: columns)
    case .sparse(let sparse):
      try sparse.validate(part: part, rows: rows, columns: columns)
    case .table(let table): try table.validate(part: part, rows: rows, columns: columns)
    case .blocks(let blocks): try blocks.validate(part: part, rows: rows, columns: columns)
    case .mixed(let mixed): try mixed.validate(part: part, rows: rows, columns: columns)
    case .planes(let planes): try planes.validate(part: part, rows: rows, columns: columns)
    }
  }
}

extension IntegerBase {
  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    guard self.rows == rows, self.columns == columns else {
      throw .shape(
        part: part + "/codes", expected: [rows, columns], found: [self.rows, self.columns])
    }
    let length = grid.groupLength(columns: columns)
    guard columns % length == 0 else {
      throw .groupDoesNotDivide(group: length, columns: columns)
    }
    let codeBytes = PackedCodes.bytes(count: columns, bits: grid.bits)
    try codes.check(part: part + "/codes", types: [.u8], shape: [rows, codeBytes])
    if let row = PackedCodes.firstDirtyPadding(
      codes.bytes.buffer, rows: rows, count: columns, bits: grid.bits)
    {
      throw .paddingNotZero(part: part + "/codes", row: row)
    }
    try grid.validate(scales: scales, zeros: zeros, part: part, rows: rows, columns: columns)
  }
}

extension IntegerGrid {
  /// Checks the scales and zero points of a base of a size.
  func validate(
    scales: Tensor, zeros: Tensor?, part: String, rows: Int, columns: Int
  ) throws(WeightsError) {
    let scaleRows = scaleRows(rows: rows)
    let scaleColumns = scaleColumns(columns: columns)
    try scales.check(
      part: part + "/scales", types: [scaleType], shape: [scaleRows, scaleColumns])
    try scales.checkScales(part: part + "/scales")
    guard let zeros else {
      if !symmetric { throw .missingPart(part + "/zeros") }
      return
    }
    if symmetric { throw .unexpectedPart(part + "/zeros") }
    let zeroBytes = PackedCodes.bytes(count: scaleColumns, bits: bits)
    try zeros.check(part: part + "/zeros", types: [.u8], shape: [scaleRows, zeroBytes])
    if let row = PackedCodes.firstDirtyPadding(
      zeros.bytes.buffer, rows: scaleRows, count: scaleColumns, bits: bits)
    {
      throw .paddingNotZero(part: part + "/zeros", row: row)
    }
  }
}

extension Tensor {
  /// Checks the element type and the shape.
  func check(part: String, types: [DType], shape expected: [Int]) throws(WeightsError) {
    guard types.contains(dtype) else {
      throw .elementType(part: part, expected: types, found: dtype)
    }
    guard shape.dimensions == expected else {
      throw .shape(part: part, expected: expected, found: shape.dimensions)
    }
  }

  /// Checks that every value is finite, a row at a time.
  func checkFinite(part: String) throws(WeightsError) {
    let length = max(shape.rowElementCount, 1)
    let rows = shape.elementCount / length
    var values = [Float](repeating: 0, count: length)
    for row in 0..<rows {
      let start = row * length * dtype.bytes
      values.withUnsafeMutableBufferPointer { target in
        FloatConversion.decode(
          UnsafeRawBufferPointer(
            rebasing: bytes.buffer[start..<start + length * dtype.bytes]), as: dtype, into: target)
      }
      if let index = values.firstNonfinite {
        throw .valueNotFinite(part: part, index: row * length + index)
      }
    }
  }

  /// Checks that every value is positive, finite and normal in its own type.
  func checkScales(part: String) throws(WeightsError) {
    let least: Float = dtype == .f16 ? 0x1p-14 : .leastNormalMagnitude
    var values = [Float](repeating: 0, count: min(shape.elementCount, 4096))
    for first in stride(from: 0, to: shape.elementCount, by: 4096) {
      let count = min(4096, shape.elementCount - first)
      // Without a branch a value, which the loop's vector form needs.
      let isUsable = values.withUnsafeMutableBufferPointer { target in
        let piece = UnsafeMutableBufferPointer(rebasing: target[0..<count])
        FloatConversion.decode(
          UnsafeRawBufferPointer(
            rebasing: bytes.buffer[first * dtype.bytes..<(first + count) * dtype.bytes]),
          as: dtype, into: piece)
        var unusable: UInt32 = 0
        for value in piece {
          unusable |= (value >= least ? 0 : 1) | (value <= .greatestFiniteMagnitude ? 0 : 1)
        }
        return unusable == 0
      }
      if isUsable { continue }
      for (index, value) in values[0..<count].enumerated()
      where !(value.isFinite && value >= least) {
        throw .scaleNotUsable(part: part, index: first + index, value: value)
      }
    }
  }
}
