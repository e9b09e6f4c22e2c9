import Tensors
import Weights

/// An encoder whose rows do not depend on each other, of any format.
enum RowEncoder {
  case integer(IntegerEncoder)
  case table(TableEncoder)
  case blocks(BlockEncoder)

  /// The bytes that a row adds to each payload: codes (or blocks), scales, and zero points
  /// or factors.
  var bytesPerRow: (codes: Int, scales: Int, rest: Int) {
    switch self {
    case .integer(let encoder):
      (encoder.codeBytesPerRow, encoder.scaleBytesPerRow, encoder.zeroBytesPerRow)
    case .table(let encoder):
      (encoder.codeBytesPerRow, encoder.scaleBytesPerRow, encoder.factorBytesPerRow)
    case .blocks(let encoder): (encoder.bytesPerRow, 0, 0)
    }
  }

  func encode(
    _ values: UnsafeBufferPointer<Float>, rows: Range<Int>, codes: UnsafeMutableRawPointer,
    scales: UnsafeMutableRawPointer, rest: UnsafeMutableRawPointer?
  ) throws(WeightsError) -> ErrorSums {
    switch self {
    case .integer(let encoder):
      try encoder.encode(
        values, rowCount: rows.count, firstRow: rows.lowerBound, codes: codes, scales: scales,
        zeros: rest)
    case .table(let encoder):
      try encoder.encode(
        values, rowCount: rows.count, firstRow: rows.lowerBound, codes: codes, scales: scales,
        factors: rest)
    case .blocks(let encoder):
      try encoder.encode(
        values, rowCount: rows.count, firstRow: rows.lowerBound, blocks: codes)
    }
  }

  /// The base over finished payloads; `tensor` maps each as a matrix of some columns.
  func base(
    rows: Int, columns: Int, codes: (DType, Int) throws -> Tensor,
    scales: (DType, Int) throws -> Tensor, rest: ((DType, Shape) throws -> Tensor)?
  ) throws -> Base {
    switch self {
    case .integer(let encoder):
      let grid = encoder.scheme.grid
      return .integer(
        IntegerBase(
          grid: grid, rows: rows, columns: columns,
          codes: try codes(.u8, encoder.codeBytesPerRow),
          scales: try scales(grid.scaleType, encoder.scalesPerRow),
          zeros: try rest?(.u8, [rows, encoder.zeroBytesPerRow])))
    case .table(let encoder):
      let grid = encoder.scheme.grid
      return .table(
        TableBase(
          grid: grid, rows: rows, columns: columns,
          codes: try codes(.u8, encoder.codeBytesPerRow),
          scales: try scales(grid.scaleFormat.dtype, encoder.scalesPerRow),
          factors: try rest?(.f32, [rows])))
    case .blocks(let encoder):
      return .blocks(
        BlockBase(
          format: encoder.format, rows: rows, columns: columns,
          blocks: try codes(.u8, encoder.bytesPerRow)))
    }
  }
}

extension TensorDecision.Compression {
  /// Whether round-to-nearest with scales inside a row is all there is to do: then rows can go
  /// through in pieces and a tensor of any size needs a few megabytes.
  var isStreamed: Bool { streamed != nil }

  /// The encoder of a weight that goes through in pieces; nil for the others.
  func rowEncoder() throws(WeightsError) -> RowEncoder? {
    switch streamed {
    case nil: nil
    case .integer(let scheme): .integer(try IntegerEncoder(scheme, columns: view.columns))
    case .table(let scheme): .table(try TableEncoder(scheme, columns: view.columns))
    case .blocks(let format): .blocks(try BlockEncoder(format, columns: view.columns))
    }
  }

  private enum Streamed {
    case integer(IntegerScheme)
    case table(TableScheme)
    case blocks(BlockFormat)
  }

  private var streamed: Streamed? {
    guard view.layout == .outputsFirst, stages.count == 1 else { return nil }
    switch stages[0] {
    case .quantize(let scheme): return scheme.granularity == .tensor ? nil : .integer(scheme)
    case .format(.blocks(let format)): return .blocks(format)
    case .format(let format): return format.rowScheme.map { .table($0) }
    default: return nil
    }
  }
}
