import Kernels
import Tensors

extension TableBase {
  /// Round-to-nearest onto a table format.
  ///
  /// (1) A value of the format times a stored scale is kept; (2) a search never ends with a larger
  /// error than the whole range; (3) groups of zeros stay zeros; (4) the same bytes with any
  /// number of workers and any instruction set.
  ///
  /// - Throws: `WeightsError.notFinite` (masked entries count too) or `.groupDoesNotDivide`.
  public static func roundToNearest(
    _ weight: Matrix<Float>, scheme: TableScheme, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> TableBase {
    try rounded(weight, scheme: scheme, mask: mask, pool: pool).base
  }

  /// As `roundToNearest`, with the error sums against the weight (its masked entries as zeros).
  public static func rounded(
    _ weight: Matrix<Float>, scheme: TableScheme, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> (base: TableBase, errors: ErrorSums) {
    try weight.checkFinite()
    let masked = mask.map { $0.applied(to: weight) } ?? weight
    let encoder = try TableEncoder(scheme, columns: weight.columns)
    return encoder.encode(masked, pool: pool)
  }
}

extension TableEncoder {
  /// Encodes a whole finite matrix.
  func encode(
    _ weight: Matrix<Float>, pool: WorkerPool
  ) -> (base: TableBase, errors: ErrorSums) {
    let stored = storedScales(of: weight, pool: pool)
    let (codes, errors) = codes(of: weight, scales: stored.values, pool: pool)
    let shape: Shape = [
      grid.scaleRows(rows: weight.rows), stored.values.isEmpty ? 0 : scalesPerRow,
    ]
    let base = TableBase(
      grid: grid, rows: weight.rows, columns: columns, codes: codes,
      scales: Tensor(dtype: grid.scaleFormat.dtype, shape: shape, bytes: stored.bytes),
      factors: stored.factors.map { Tensor(dtype: .f32, shape: [$0.count], array: $0) },
      offset: stored.offset)
    return (base, errors)
  }

  /// All scales of a weight, as bytes and as the values that they stand for.
  struct StoredScales {
    var bytes: [UInt8]
    var values: [Float]
    var factors: [Float]?
    var offset: Float = 0
  }

  private func storedScales(of weight: Matrix<Float>, pool: WorkerPool) -> StoredScales {
    if grid.granularity == .tensor {
      let store = store(for: weight)
      let scale = weight.values.withUnsafeBufferPointer { chosenScale($0, store: store) }
      return stored([scale], store: store, weight: weight)
    }
    let store = store(for: weight)
    let rows =
      (try? pool.map(weight.rows) { (row: Int) throws -> [Float] in
        weight.values.withUnsafeBufferPointer {
          chosenScales(
            UnsafeBufferPointer(rebasing: $0[row * columns..<(row + 1) * columns]), grid: store)
        }
      }) ?? []
    return stored(rows.flatMap { $0 }, store: store, weight: weight)
  }

  /// The store of a whole weight: `e4m3` takes its factor from the largest scale.
  private func store(for weight: Matrix<Float>) -> ScaleStore {
    guard grid.scaleFormat == .e4m3 else { return ScaleStore(grid.scaleFormat) }
    let largest = weight.values.reduce(0) { max($0, abs($1)) }
    return ScaleStore(
      .e4m3, factor: ScaleStore.factor(largestScale: largest / table.reach))
  }

  /// Chosen scales in their stored form.
  private func stored(
    _ scales: [Float], store: ScaleStore, weight: Matrix<Float>
  ) -> StoredScales {
    switch store.format {
    case .ratio:
      let width = max(scalesPerRow, 1)
      let isShared = grid.granularity == .tensor
      let rows = (0..<scales.count / width).map { row in
        weight.values.withUnsafeBufferPointer {
          ratios(
            Array(scales[row * width..<(row + 1) * width]),
            of: isShared
              ? $0 : UnsafeBufferPointer(rebasing: $0[row * columns..<(row + 1) * columns]))
        }
      }
      return StoredScales(
        bytes: rows.flatMap(\.bytes), values: rows.flatMap(\.values),
        factors: rows.map(\.factor))
    case .dynamic8:
      let coded = ScaleStore.dynamic(scales)
      return StoredScales(
        bytes: coded.bytes, values: coded.values, factors: coded.factors, offset: coded.offset)
    default:
      var bytes = [UInt8](repeating: 0, count: scales.count * store.format.dtype.bytes)
      bytes.withUnsafeMutableBytes { if let to = $0.baseAddress { store.write(scales, to: to) } }
      return StoredScales(
        bytes: bytes, values: scales, factors: store.format == .e4m3 ? [store.factor] : nil)
    }
  }

  /// The packed codes of a whole weight on stored scales.
  func codes(
    of weight: Matrix<Float>, scales: [Float], pool: WorkerPool
  ) -> (codes: Tensor, errors: ErrorSums) {
    let rows = weight.rows
    let room = Room(bytes: rows * codeBytesPerRow)
    let tileRows = IntegerEncoder.tileRows
    let width = scalesPerRow
    let isShared = grid.granularity == .tensor
    let sums =
      (try? pool.map((rows + tileRows - 1) / tileRows) { (tile: Int) throws -> ErrorSums in
        var sums = PithErrorSums()
        for row in tile * tileRows..<min((tile + 1) * tileRows, rows) {
          weight.values.withUnsafeBufferPointer { values in
            encodeRow(
              UnsafeBufferPointer(rebasing: values[row * columns..<(row + 1) * columns]),
              scales: isShared ? scales : Array(scales[row * width..<(row + 1) * width]),
              codes: room.start + row * codeBytesPerRow, &sums)
          }
        }
        return ErrorSums(sums)
      }) ?? []
    var total = ErrorSums()
    for sum in sums { total += sum }
    return (room.tensor(.u8, [rows, codeBytesPerRow]), total)
  }
}

extension Tensor {
  /// A tensor over bytes that were counted before.
  fileprivate init(dtype: DType, shape: Shape, bytes: [UInt8]) {
    guard let tensor = try? Tensor(dtype: dtype, shape: shape, bytes: Bytes(bytes)) else {
      preconditionFailure("\(bytes.count) bytes for \(shape)")
    }
    self = tensor
  }
}
