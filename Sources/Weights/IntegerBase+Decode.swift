import Kernels
import Tensors

extension IntegerBase {
  /// The stored rows as the kernels take them; valid inside the closure.
  func withKernelRows<Result>(_ body: (UnsafePointer<PithIntegerRows>) -> Result) -> Result {
    var rows = kernelRows
    return withExtendedLifetime(self) { body(&rows) }
  }

  /// The same, valid as long as the base lives.
  var kernelRows: PithIntegerRows {
    let codeStride = PackedCodes.bytes(count: columns, bits: grid.bits)
    let scaleColumns = grid.scaleColumns(columns: columns)
    let scaleRows = grid.scaleRows(rows: rows)
    let zeroStride = PackedCodes.bytes(count: scaleColumns, bits: grid.bits)
    // The kernels read without checks; parts from a file went through `validate` before.
    precondition(codes.bytes.count == rows * codeStride, "codes of \(rows) × \(columns)")
    precondition(
      scales.bytes.count == scaleRows * scaleColumns * grid.scaleType.bytes,
      "scales of \(rows) × \(columns)")
    precondition(
      zeros.map { $0.bytes.count == scaleRows * zeroStride } ?? grid.symmetric, "zero points")
    var kernelRows = PithIntegerRows()
    kernelRows.codes = codes.bytes.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    kernelRows.scales = scales.bytes.buffer.baseAddress
    kernelRows.zeros = zeros?.bytes.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    kernelRows.codes_stride = codeStride
    kernelRows.scales_stride = scaleRows == 1 && grid.granularity == .tensor ? 0 : scaleColumns
    kernelRows.zeros_stride = grid.granularity == .tensor ? 0 : zeroStride
    kernelRows.columns = columns
    kernelRows.group = grid.groupLength(columns: columns)
    kernelRows.bits = Int32(grid.bits)
    kernelRows.scale_type = grid.scaleType.kernelScaleType
    return kernelRows
  }

  /// Decodes some rows to `target`, which has room for `range.count × columns`.
  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    withKernelRows {
      pith_decode_integer($0, range.lowerBound, range.count, 0, columns, target, columns)
    }
  }

  /// Some rows as f32.
  public func decoded(rows range: Range<Int>) -> Matrix<Float> {
    Matrix(rows: range.count, columns: columns) { target in
      if let start = target.baseAddress { decode(rows: range, into: start) }
    }
  }

  /// All rows as f32.
  public func decoded() -> Matrix<Float> { decoded(rows: 0..<rows) }

  /// One stored code, 0...2^bits − 1.
  public func code(_ row: Int, _ column: Int) -> Int {
    precondition(column >= 0 && column < columns, "column \(column) of \(columns)")
    let stride = PackedCodes.bytes(count: columns, bits: grid.bits)
    let stream = UnsafeRawBufferPointer(
      rebasing: codes.bytes.buffer[row * stride..<(row + 1) * stride])
    return PackedCodes.code(stream, index: column, bits: grid.bits)
  }

  /// The scale and zero point of one entry.
  public func point(_ row: Int, _ column: Int) -> IntegerGridPoint {
    let scaleColumns = grid.scaleColumns(columns: columns)
    let scaleRow = grid.granularity == .tensor ? 0 : row
    let group = column / grid.groupLength(columns: columns)
    var scale: Float = 0
    let size = grid.scaleType.bytes
    let start = (scaleRow * scaleColumns + group) * size
    withUnsafeMutablePointer(to: &scale) { target in
      FloatConversion.decode(
        UnsafeRawBufferPointer(rebasing: scales.bytes.buffer[start..<start + size]),
        as: grid.scaleType, into: UnsafeMutableBufferPointer(start: target, count: 1))
    }
    guard let zeros else { return IntegerGridPoint(scale: scale, zero: 1 << (grid.bits - 1)) }
    let stride = PackedCodes.bytes(count: scaleColumns, bits: grid.bits)
    let stream = UnsafeRawBufferPointer(
      rebasing: zeros.bytes.buffer[scaleRow * stride..<(scaleRow + 1) * stride])
    return IntegerGridPoint(
      scale: scale, zero: PackedCodes.code(stream, index: group, bits: grid.bits))
  }
}
