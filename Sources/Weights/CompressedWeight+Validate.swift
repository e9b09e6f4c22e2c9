import Tensors

extension CompressedWeight {
  /// Checks everything that a file could have wrong: shapes, element types, ranges, finiteness.
  ///
  /// The one validator: the artefact's reader, `pith verify` and the tests call it. A weight that
  /// passes can be decoded and multiplied without further checks.
  ///
  /// - Throws: a `WeightsError` that names the part.
  public func validate() throws(WeightsError) {
    guard base != nil || !lowRank.isEmpty else { throw .emptyWeight }
    try base?.validate(part: "base", rows: rows, columns: columns)
    try mask?.validate(part: "mask", rows: rows, columns: columns)
    if case .sparse? = base, mask != nil { throw .unexpectedPart("mask/bitmap") }
    try outliers?.validate(part: "outliers", rows: rows, columns: columns)
    for (index, path) in lowRank.enumerated() {
      try path.validate(part: "low_rank/\(index)", rows: rows, columns: columns)
    }
    for (index, transform) in (site?.transforms ?? []).enumerated() {
      try transform.validate(part: "site/\(index)", columns: columns)
    }
    try site?.activations?.validate()
    if let scheme = site?.activations, scheme.isCalibrated, scheme.maximum == nil {
      throw .activations(scheme: scheme.name, reason: "its range is missing")
    }
  }
}

extension Mask {
  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    let part = part + "/bitmap"
    try bits.check(part: part, types: [.u8], shape: [rows, (columns + 7) / 8])
    if let row = PackedCodes.firstDirtyPadding(
      bits.bytes.buffer, rows: rows, count: columns, bits: 1)
    {
      throw .paddingNotZero(part: part, row: row)
    }
    let stride = bits.shape.dimensions[1]
    try claim?.check(part: part, rows: rows, columns: columns) { row in
      bits.bytes.withBuffer {
        Array(UnsafeRawBufferPointer(rebasing: $0[row * stride..<(row + 1) * stride]))
      }
    }
  }
}

extension Outliers {
  func validate(part: String, rows: Int, columns width: Int) throws(WeightsError) {
    let part = (columns: part + "/columns", values: part + "/values")
    guard columns.shape.rank == 1 else {
      throw .shape(
        part: part.columns, expected: [columns.shape.elementCount],
        found: columns.shape.dimensions)
    }
    try columns.check(part: part.columns, types: [.i32], shape: [count])
    try values.check(part: part.values, types: [.f32, .f16, .bf16, .f64], shape: [rows, count])
    var last = -1
    for (index, column) in columnNumbers.enumerated() {
      guard column >= 0, column < width else {
        throw .columnOutOfRange(
          part: part.columns, index: index, column: column, columns: width)
      }
      guard column > last else { throw .columnsNotAscending(part: part.columns, index: index) }
      last = column
    }
    try values.checkFinite(part: part.values)
  }
}

extension LowRankPath {
  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    guard rank >= 1 else {
      throw .shape(part: part + "/a", expected: [1, columns], found: [rank, columns])
    }
    try b.validate(part: part + "/b", rows: rows, columns: rank)
    try a.validate(part: part + "/a", rows: rank, columns: columns)
    if let sigma {
      try sigma.check(part: part + "/sigma", types: [.f32], shape: [rank])
      try sigma.checkFinite(part: part + "/sigma")
    }
    guard scale.isFinite else { throw .valueNotFinite(part: part + "/scale", index: 0) }
  }
}

extension InputTransform {
  func validate(part: String, columns: Int) throws(WeightsError) {
    switch self {
    case .scale(let tensor):
      try tensor.check(part: part + "/scale", types: [.f32], shape: [columns])
      try tensor.checkScales(part: part + "/scale")
    case .permutation(let tensor):
      let part = part + "/permutation"
      try tensor.check(part: part, types: [.i32], shape: [columns])
      var seen = [Bool](repeating: false, count: columns)
      for (index, target) in Self.indices(tensor).enumerated() {
        guard target >= 0, target < columns, !seen[target] else {
          throw .notAPermutation(part: part, index: index)
        }
        seen[target] = true
      }
    case .hadamard(let transform):
      // Signs and structure were checked when the transform was made.
      try transform.signs.check(part: part + "/hadamard", types: [.i8], shape: [columns])
    }
  }
}
