import Kernels
import Tensors

/// One scale, as it is stored, and its zero point.
public struct IntegerGridPoint: Sendable, Hashable {
  public let scale: Float
  /// 0 to 2^bits − 1.
  public let zero: Int

  public init(scale: Float, zero: Int) {
    self.scale = scale
    self.zero = zero
  }
}

/// Encodes rows onto an integer grid, a chunk of rows at a time.
///
/// A value: any number of threads may encode different chunks at once. Where rows begin in the
/// outputs does not depend on the chunks, so chunks of any size give the same bytes.
public struct IntegerEncoder: Sendable {
  public let scheme: IntegerScheme
  /// Inputs of one row.
  public let columns: Int
  /// The one scale of a scheme per tensor; nil for the others.
  public let tensorPoint: IntegerGridPoint?

  /// An encoder for scales per channel or per group.
  ///
  /// - Throws: `WeightsError.groupDoesNotDivide`, or `.rangeMissing` for a scheme per tensor.
  public init(_ scheme: IntegerScheme, columns: Int) throws(WeightsError) {
    guard scheme.granularity != .tensor else { throw .rangeMissing }
    if case .group(let size) = scheme.granularity, columns % size != 0 {
      throw .groupDoesNotDivide(group: size, columns: columns)
    }
    self.scheme = scheme
    self.columns = columns
    self.tensorPoint = nil
  }

  /// An encoder for one scale per tensor, taken from the tensor's range without a clip search.
  ///
  /// - Throws: `WeightsError.granularityNotForRows` when the scheme is not per tensor.
  public init(
    _ scheme: IntegerScheme, columns: Int, range: ClosedRange<Float>
  ) throws(WeightsError) {
    var grid = scheme.kernelGrid
    let point = pith_grid_for_range(&grid, range.lowerBound, range.upperBound, 1)
    try self.init(
      scheme, columns: columns,
      point: IntegerGridPoint(scale: point.scale, zero: Int(point.zero)))
  }

  /// An encoder for one scale per tensor, given.
  public init(
    _ scheme: IntegerScheme, columns: Int, point: IntegerGridPoint
  ) throws(WeightsError) {
    guard scheme.granularity == .tensor else { throw .granularityNotForRows }
    self.scheme = scheme
    self.columns = columns
    self.tensorPoint = point
  }

  /// Packed codes of one row, padded to a byte.
  public var codeBytesPerRow: Int { PackedCodes.bytes(count: columns, bits: scheme.bits) }
  /// Scales of one row; 0 when the tensor shares one.
  public var scalesPerRow: Int {
    tensorPoint == nil ? scheme.grid.scaleColumns(columns: columns) : 0
  }
  /// Bytes of one row's scales.
  public var scaleBytesPerRow: Int { scalesPerRow * scheme.scaleType.bytes }
  /// Packed zero points of one row; 0 when symmetric or when the tensor shares one.
  public var zeroBytesPerRow: Int {
    scheme.symmetric ? 0 : PackedCodes.bytes(count: scalesPerRow, bits: scheme.bits)
  }

  /// Encodes `rowCount` rows and returns the error sums against them.
  ///
  /// `codes`, `scales` and `zeros` are where these rows' parts begin (sizes: the properties above
  /// times `rowCount`); `zeros` may be nil when symmetric, and with a tensor's one scale neither
  /// `scales` nor `zeros` is written. Codes are chosen with the scale as stored.
  ///
  /// - Throws: `WeightsError.notFinite` with the row, counted from `firstRow`, and the column.
  public func encode(
    _ rows: UnsafeBufferPointer<Float>, rowCount: Int, firstRow: Int = 0,
    codes: UnsafeMutableRawPointer, scales: UnsafeMutableRawPointer,
    zeros: UnsafeMutableRawPointer? = nil
  ) throws(WeightsError) -> ErrorSums {
    precondition(rows.count == rowCount * columns, "\(rows.count) values for \(rowCount) rows")
    precondition(scheme.symmetric || tensorPoint != nil || zeros != nil, "zero points need a place")
    guard let source = rows.baseAddress, rowCount > 0, columns > 0 else { return ErrorSums() }
    var grid = scheme.kernelGrid
    var sums = PithErrorSums()
    let group = scheme.grid.groupLength(columns: columns)
    let codeBytes = codes.assumingMemoryBound(to: UInt8.self)
    let zeroBytes = scheme.symmetric ? nil : zeros?.assumingMemoryBound(to: UInt8.self)
    let bad: Int64
    if let tensorPoint {
      var point = PithGridPoint(scale: tensorPoint.scale, zero: Int32(tensorPoint.zero))
      bad = pith_encode_integer(
        &grid, &point, source, rowCount, columns, group, codeBytes, scales, nil, &sums)
    } else {
      bad = pith_encode_integer(
        &grid, nil, source, rowCount, columns, group, codeBytes, scales, zeroBytes, &sums)
    }
    guard bad < 0 else {
      throw .notFinite(row: firstRow + Int(bad) / columns, column: Int(bad) % columns)
    }
    return ErrorSums(sums)
  }
}

extension IntegerScheme {
  /// The scale and zero point, as stored, of a range from `minimum` to `maximum` times `shrink`.
  public func point(minimum: Float, maximum: Float, shrink: Double = 1) -> IntegerGridPoint {
    var grid = kernelGrid
    let point = pith_grid_for_range(&grid, minimum, maximum, shrink)
    return IntegerGridPoint(scale: point.scale, zero: Int(point.zero))
  }
}
