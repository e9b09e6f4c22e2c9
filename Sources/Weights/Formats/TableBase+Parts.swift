import Tensors

extension TableBase {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    var attributes: [String: AttributeValue] = [
      Name.format: .string(grid.format.name),
      Name.bits: .int(grid.format.bits),
      Name.columns: .int(columns),
      Name.packing: .string(grid.packing.rawValue),
      Name.scaleFormat: .string(grid.scaleFormat.rawValue),
    ]
    if case .power(_, let exponent) = grid.format {
      attributes[Name.exponent] = .double(Double(exponent))
    }
    if grid.scaleFormat == .dynamic8 { attributes[Name.scaleOffset] = .double(Double(offset)) }
    attributes.merge(Base.attributes(of: grid.granularity)) { $1 }
    var parts: [EncodedWeight.Part] = [
      .init(path: path + "/codes", tensor: codes, attributes: attributes),
      .init(path: path + "/scales", tensor: scales),
    ]
    if let factors { parts.append(.init(path: path + "/factors", tensor: factors)) }
    return parts
  }

  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    guard self.rows == rows, self.columns == columns else {
      throw .shape(
        part: part + "/codes", expected: [rows, columns], found: [self.rows, self.columns])
    }
    let length = grid.groupLength(columns: columns)
    guard columns % length == 0 else {
      throw .groupDoesNotDivide(group: length, columns: columns)
    }
    try codes.check(
      part: part + "/codes", types: [.u8], shape: [rows, grid.codeBytes(columns: columns)])
    try validateCodes(part: part + "/codes")
    let scaleRows = grid.scaleRows(rows: rows)
    try scales.check(
      part: part + "/scales", types: [grid.scaleFormat.dtype], shape: [scaleRows, scaleColumns])
    let factorPart = part + "/factors"
    if grid.scaleFormat.hasFactors {
      guard let factors else { throw .missingPart(factorPart) }
      let count = grid.scaleFormat.factorCount(rows: scaleRows, columns: scaleColumns)
      try factors.check(part: factorPart, types: [.f32], shape: [count])
      try factors.checkScales(part: factorPart)
    } else if factors != nil {
      throw .unexpectedPart(factorPart)
    }
    guard offset.isFinite else { throw .valueNotFinite(part: part + "/codes", index: 0) }
    // No code may decode to infinity; a power of two of the smallest exponent, which is subnormal,
    // is what other programs write for a block of zeros.
    let least: Float = grid.scaleFormat == .e8m0 ? 0x1p-127 : .leastNormalMagnitude
    for (index, scale) in scaleValues().enumerated() {
      guard scale >= least, (scale * table.largest).isFinite else {
        throw .scaleNotUsable(part: part + "/scales", index: index, value: scale)
      }
    }
  }

  /// Codes that stand for something, and padding that is zero.
  private func validateCodes(part: String) throws(WeightsError) {
    let bits = grid.format.bits
    let stride = grid.codeBytes(columns: columns)
    switch grid.packing {
    case .stream:
      if let row = PackedCodes.firstDirtyPadding(
        codes.bytes.buffer, rows: rows, count: columns, bits: bits)
      {
        throw .paddingNotZero(part: part, row: row)
      }
    case .split:
      let high = PackedCodes.bytes(count: columns, bits: 2)
      for row in 0..<rows {
        let line = UnsafeRawBufferPointer(
          rebasing: codes.bytes.buffer[row * stride..<(row + 1) * stride])
        guard
          PackedCodes.firstDirtyPadding(
            UnsafeRawBufferPointer(rebasing: line[..<high]), rows: 1, count: columns, bits: 2)
            == nil,
          PackedCodes.firstDirtyPadding(
            UnsafeRawBufferPointer(rebasing: line[high...]), rows: 1, count: columns, bits: 4)
            == nil
        else { throw .paddingNotZero(part: part, row: row) }
      }
    case .trits:
      let last = [243, 3, 9, 27, 81][columns % 5]
      for row in 0..<rows {
        for index in 0..<stride {
          let byte = Int(codes.bytes.buffer[row * stride + index])
          guard byte < (index == stride - 1 ? last : 243) else {
            throw .codeUnknown(
              part: part, row: row, column: index * 5, code: byte, format: grid.format.name)
          }
        }
      }
      return
    }
    guard table.hasUnusedCodes else { return }
    for row in 0..<rows {
      let codes = unpackedCodes(row: row)
      guard let column = codes.firstIndex(where: { table.value(of: $0).isNaN }) else { continue }
      throw .codeUnknown(
        part: part, row: row, column: column, code: Int(codes[column]), format: grid.format.name)
    }
  }
}
