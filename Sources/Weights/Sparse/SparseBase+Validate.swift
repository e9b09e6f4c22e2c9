import Tensors

extension SparseBase {
  /// Checks the survivors; the positions were when the base was made.
  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    guard self.rows == rows, self.columns == columns else {
      throw .shape(
        part: part + "/kept", expected: [rows, columns], found: [self.rows, self.columns])
    }
    try claim?.check(part: part + "/kept", rows: rows, columns: columns) { bitmap(row: $0) }
    let count = survivorCount
    switch survivors {
    case .dense(let values):
      try values.check(
        part: part + "/survivors", types: [.f32, .f16, .bf16], shape: [count])
      try values.checkFinite(part: part + "/survivors")
    case .integer(let grid, let codes, let scales, let zeros):
      let length = grid.groupLength(columns: columns)
      guard columns % length == 0 else {
        throw .groupDoesNotDivide(group: length, columns: columns)
      }
      let bytes = PackedCodes.bytes(count: count, bits: grid.bits)
      try codes.check(part: part + "/survivors", types: [.u8], shape: [bytes])
      if PackedCodes.firstDirtyPadding(codes.bytes.buffer, rows: 1, count: count, bits: grid.bits)
        != nil
      {
        throw .paddingNotZero(part: part + "/survivors", row: 0)
      }
      try grid.validate(scales: scales, zeros: zeros, part: part, rows: rows, columns: columns)
    }
  }
}
