import Tensors

extension IntegerBase {
  /// Round-to-nearest onto a grid (methods page A1, B1).
  ///
  /// (1) Codes lie in 0...2^bits − 1; (2) scales are positive, finite and normal as stored, and
  /// codes are chosen with them; (3) 0 decodes to exactly 0, groups of zeros too; (4) inside the
  /// grid's range |x − x̂| ≤ s/2; (5) encoding what was decoded gives the same codes on the same
  /// scales; (6) permuting rows permutes the result; (7) scaling the weight by 2^k scales f32
  /// scales by 2^k and keeps the codes; (8) a clip search never ends with a larger error than the
  /// full range; (9) masked entries do not widen the range; (10) the same bytes with any number
  /// of workers and any instruction set.
  ///
  /// - Throws: `WeightsError.notFinite` (masked entries count too) or `.groupDoesNotDivide`.
  public static func roundToNearest(
    _ weight: Matrix<Float>, scheme: IntegerScheme, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> IntegerBase {
    try rounded(weight, scheme: scheme, mask: mask, pool: pool).base
  }

  /// As `roundToNearest`, with the error sums against the weight (its masked entries as zeros).
  public static func rounded(
    _ weight: Matrix<Float>, scheme: IntegerScheme, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> (base: IntegerBase, errors: ErrorSums) {
    try weight.checkFinite()
    var masked = weight
    if let mask { masked = mask.applied(to: weight) }
    let encoder: IntegerEncoder
    if scheme.granularity == .tensor {
      encoder = try IntegerEncoder(
        scheme, columns: weight.columns,
        point: IntegerEncoder.point(for: masked, scheme: scheme))
    } else {
      encoder = try IntegerEncoder(scheme, columns: weight.columns)
    }
    return try encoder.encode(masked, pool: pool)
  }
}

extension IntegerEncoder {
  /// Rows that one worker encodes at a time; fixed, so that error sums do not depend on workers.
  static let tileRows = 32

  /// Encodes a whole matrix.
  public func encode(
    _ weight: Matrix<Float>, pool: WorkerPool = .serial
  ) throws(WeightsError) -> (base: IntegerBase, errors: ErrorSums) {
    precondition(weight.columns == columns, "\(weight.columns) columns for \(columns)")
    let rows = weight.rows
    let codes = Room(bytes: rows * codeBytesPerRow)
    let scales = Room(bytes: rows * scaleBytesPerRow)
    let zeros = Room(bytes: rows * zeroBytesPerRow)
    let tiles = (rows + Self.tileRows - 1) / Self.tileRows
    let sums = try pool.mapChecked(tiles) { (tile: Int) throws(WeightsError) -> ErrorSums in
      let range = tile * Self.tileRows..<min((tile + 1) * Self.tileRows, rows)
      return try weight.values.withUnsafeBufferPointer {
        (values: UnsafeBufferPointer<Float>) throws(WeightsError) -> ErrorSums in
        try encode(
          UnsafeBufferPointer(
            rebasing: values[range.lowerBound * columns..<range.upperBound * columns]),
          rowCount: range.count, firstRow: range.lowerBound,
          codes: codes.start + range.lowerBound * codeBytesPerRow,
          scales: scales.start + range.lowerBound * scaleBytesPerRow,
          zeros: zeros.start + range.lowerBound * zeroBytesPerRow)
      }
    }
    var total = ErrorSums()
    for sum in sums { total += sum }
    let grid = tensorPoint.map(tensorGrid)
    let base = IntegerBase(
      grid: scheme.grid, rows: rows, columns: columns,
      codes: codes.tensor(.u8, [rows, codeBytesPerRow]),
      scales: grid?.scales ?? scales.tensor(scheme.scaleType, [rows, scalesPerRow]),
      zeros: scheme.symmetric
        ? nil : grid.map(\.zeros) ?? zeros.tensor(.u8, [rows, zeroBytesPerRow]))
    return (base, total)
  }
}
