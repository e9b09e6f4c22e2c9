import Kernels
import Tensors

/// Packed codes of a table format: `value = table[code] · scale`.
///
/// - codes: u8, `rows × codeBytes` of the grid, packed as it says.
/// - scales: `scaleRows × scaleColumns` of the scale format's element type. A byte b of a coded
///   one stands for `values[b] · factor + offset`.
/// - factors: f32; of `e4m3` one, of `ratio` one a row, of `dynamic8` one for every 256 scales in
///   the order in which they lie; nil for others.
/// - offset: of `dynamic8` the mean of the scales, 0 for others.
public struct TableBase: Sendable {
  public let grid: TableGrid
  public let rows: Int
  public let columns: Int
  public let codes: Tensor
  public var scales: Tensor
  public var factors: Tensor?
  public var offset: Float
  /// The values of the codes.
  public let table: CodeTable

  public init(
    grid: TableGrid, rows: Int, columns: Int, codes: Tensor, scales: Tensor,
    factors: Tensor? = nil, offset: Float = 0
  ) {
    self.grid = grid
    self.rows = rows
    self.columns = columns
    self.codes = codes
    self.scales = scales
    self.factors = factors
    self.offset = offset
    table = grid.format.table
  }

  /// The stored tensors.
  var payloads: [Tensor] { [codes, scales] + (factors.map { [$0] } ?? []) }

  /// Scales in a row, one where the tensor shares one.
  var scaleColumns: Int { grid.scaleColumns(columns: columns) }

  /// Every scale as f32, in the order in which they lie.
  public func scaleValues() -> [Float] {
    guard grid.scaleFormat.isCoded else { return scales.floats() }
    let values = grid.scaleFormat.codeValues
    let factors = factors?.floats() ?? [1]
    let span = factorSpan
    return scales.bytes.array(of: UInt8.self).enumerated().map {
      values[Int($1)] * factors[$0 / span] + offset
    }
  }

  /// Scales that share a factor.
  private var factorSpan: Int {
    switch grid.scaleFormat {
    case .ratio: max(scaleColumns, 1)
    case .dynamic8: ScaleFormat.block
    default: Int.max
    }
  }

  /// The stored rows as the kernels take them; valid inside the closure.
  func withKernelRows<Result>(_ body: (UnsafePointer<PithTableRows>) -> Result) -> Result {
    let codeStride = grid.codeBytes(columns: columns)
    let scaleRows = grid.scaleRows(rows: rows)
    // The kernels read without checks; parts from a file went through `validate` before.
    precondition(codes.bytes.count == rows * codeStride, "codes of \(rows) × \(columns)")
    precondition(
      scales.bytes.count == scaleRows * scaleColumns * grid.scaleFormat.dtype.bytes,
      "scales of \(rows) × \(columns)")
    let values = table.values
    let scaleValues = grid.scaleFormat.codeValues
    return values.withUnsafeBufferPointer { values in
      scaleValues.withUnsafeBufferPointer { scaleValues in
        var kernelRows = PithTableRows()
        kernelRows.codes = codes.bytes.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        kernelRows.scales = scales.bytes.buffer.baseAddress
        kernelRows.values = values.baseAddress
        kernelRows.scale_values = scaleValues.baseAddress
        kernelRows.factors = factors?.bytes.buffer.baseAddress?
          .assumingMemoryBound(to: Float.self)
        kernelRows.factor_span = factorSpan
        kernelRows.codes_stride = codeStride
        kernelRows.scales_stride = grid.granularity == .tensor ? 0 : scaleColumns
        kernelRows.columns = columns
        kernelRows.group = grid.groupLength(columns: columns)
        kernelRows.offset = offset
        kernelRows.bits = Int32(grid.format.bits)
        kernelRows.packing = grid.packing.kernelPacking
        kernelRows.scale_type =
          grid.scaleFormat.isCoded ? Int32(PITH_CODED) : scales.dtype.kernelScaleType
        return withExtendedLifetime(self) { body(&kernelRows) }
      }
    }
  }

  /// Decodes some rows to `target`, which has room for `range.count × columns`.
  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    withKernelRows { pith_decode_table($0, range.lowerBound, range.count, target, columns) }
  }

  /// All rows as f32.
  public func decoded() -> Matrix<Float> { Base.table(self).decoded() }

  /// The codes of one row, one a byte.
  public func unpackedCodes(row: Int) -> [UInt8] {
    let stride = grid.codeBytes(columns: columns)
    return [UInt8](unsafeUninitializedCapacity: columns) { target, initialized in
      codes.bytes.withBuffer { buffer in
        if let from = buffer.baseAddress, let to = target.baseAddress {
          pith_unpack_row(
            from.assumingMemoryBound(to: UInt8.self) + row * stride, columns,
            Int32(grid.format.bits), grid.packing.kernelPacking, to)
        }
      }
      initialized = columns
    }
  }
}

extension CodePacking {
  var kernelPacking: Int32 {
    switch self {
    case .stream: Int32(PITH_PACKED_STREAM)
    case .split: Int32(PITH_PACKED_2_4)
    case .trits: Int32(PITH_PACKED_TRITS)
    }
  }

  /// Packs one row of codes.
  func pack(
    _ codes: UnsafeBufferPointer<UInt8>, bits: Int, into target: UnsafeMutablePointer<UInt8>
  ) {
    guard let source = codes.baseAddress else { return }
    switch self {
    case .stream: pith_pack_codes(source, codes.count, Int32(bits), target)
    case .split:
      let high = codes.map { $0 >> 4 }
      let low = codes.map { $0 & 15 }
      pith_pack_codes(high, high.count, 2, target)
      pith_pack_codes(
        low, low.count, 4, target + PackedCodes.bytes(count: codes.count, bits: 2))
    case .trits:
      for first in stride(from: 0, to: codes.count, by: 5) {
        var value: UInt8 = 0
        for index in (first..<min(first + 5, codes.count)).reversed() {
          value = value * 3 + codes[index]
        }
        target[first / 5] = value
      }
    }
  }
}
