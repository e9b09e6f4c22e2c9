import Kernels
import Tensors

/// Blocks of ggml, bit for bit as a GGUF file holds them.
///
/// - blocks: u8, `rows × (columns / length · bytes)` of the format.
public struct BlockBase: Sendable {
  public let format: BlockFormat
  public let rows: Int
  public let columns: Int
  public var blocks: Tensor

  public init(format: BlockFormat, rows: Int, columns: Int, blocks: Tensor) {
    self.format = format
    self.rows = rows
    self.columns = columns
    self.blocks = blocks
  }

  /// Blocks in a row.
  public var blocksPerRow: Int { columns / format.length }

  /// Bytes of a row.
  var rowBytes: Int { blocksPerRow * format.bytes }

  /// Decodes some rows to `target`, which has room for `range.count × columns`.
  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    precondition(blocks.bytes.count == rows * rowBytes, "blocks of \(rows) × \(columns)")
    blocks.bytes.withBuffer { buffer in
      guard let from = buffer.baseAddress else { return }
      pith_decode_blocks(
        format.kernelType,
        from.assumingMemoryBound(to: UInt8.self) + range.lowerBound * rowBytes,
        range.count * blocksPerRow, target)
    }
  }

  /// One block as numbers.
  public func block(row: Int, index: Int) -> Block {
    let start = row * rowBytes + index * format.bytes
    return blocks.bytes.withBuffer {
      Block(UnsafeRawBufferPointer(rebasing: $0[start..<start + format.bytes]), format: format)
    }
  }

  /// Round-to-nearest by ggml's own search for scales and minima (methods page F4).
  ///
  /// - Throws: `WeightsError.notFinite` (masked entries count too) or `.groupDoesNotDivide`.
  public static func roundToNearest(
    _ weight: Matrix<Float>, format: BlockFormat, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> BlockBase {
    try weight.checkFinite()
    let masked = mask.map { $0.applied(to: weight) } ?? weight
    let encoder = try BlockEncoder(format, columns: weight.columns)
    let room = Room(bytes: weight.rows * encoder.bytesPerRow)
    let tile = IntegerEncoder.tileRows
    pool.forEach((weight.rows + tile - 1) / tile) { (index: Int) in
      let range = index * tile..<min((index + 1) * tile, weight.rows)
      masked.values.withUnsafeBufferPointer {
        encoder.encodeBlocks(
          UnsafeBufferPointer(
            rebasing: $0[range.lowerBound * weight.columns..<range.upperBound * weight.columns]),
          into: room.start + range.lowerBound * encoder.bytesPerRow)
      }
    }
    return BlockBase(
      format: format, rows: weight.rows, columns: weight.columns,
      blocks: room.tensor(.u8, [weight.rows, encoder.bytesPerRow]))
  }
}

/// Encodes rows as blocks, a chunk of rows at a time.
public struct BlockEncoder: Sendable {
  public let format: BlockFormat
  /// Inputs of one row.
  public let columns: Int

  /// - Throws: `WeightsError.groupDoesNotDivide`.
  public init(_ format: BlockFormat, columns: Int) throws(WeightsError) {
    guard columns % format.length == 0 else {
      throw .groupDoesNotDivide(group: format.length, columns: columns)
    }
    self.format = format
    self.columns = columns
  }

  /// Bytes of one row.
  public var bytesPerRow: Int { columns / format.length * format.bytes }

  /// Encodes `rowCount` rows and returns the error sums against them.
  ///
  /// - Throws: `WeightsError.notFinite` with the row, counted from `firstRow`, and the column.
  public func encode(
    _ rows: UnsafeBufferPointer<Float>, rowCount: Int, firstRow: Int = 0,
    blocks: UnsafeMutableRawPointer
  ) throws(WeightsError) -> ErrorSums {
    let bad = Int(pith_first_nonfinite(rows.baseAddress, rows.count))
    guard bad < 0 else {
      throw .notFinite(row: firstRow + bad / max(columns, 1), column: bad % max(columns, 1))
    }
    encodeBlocks(rows, into: blocks)
    var sums = PithErrorSums()
    let bytes = blocks.assumingMemoryBound(to: UInt8.self)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: max(columns, 1)) { values in
      guard let source = rows.baseAddress, let target = values.baseAddress else { return }
      for row in 0..<rowCount {
        pith_decode_blocks(
          format.kernelType, bytes + row * bytesPerRow, columns / format.length, target)
        pith_error_sums(source + row * columns, target, columns, &sums)
      }
    }
    return ErrorSums(sums)
  }

  func encodeBlocks(_ rows: UnsafeBufferPointer<Float>, into blocks: UnsafeMutableRawPointer) {
    guard let source = rows.baseAddress else { return }
    pith_encode_blocks(
      format.kernelType, source, rows.count / format.length,
      blocks.assumingMemoryBound(to: UInt8.self))
  }
}

extension BlockBase {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    return [
      .init(
        path: path + "/blocks", tensor: blocks,
        attributes: [Name.format: .string(format.rawValue), Name.columns: .int(columns)])
    ]
  }

  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    let part = part + "/blocks"
    guard self.rows == rows, self.columns == columns else {
      throw .shape(part: part, expected: [rows, columns], found: [self.rows, self.columns])
    }
    guard columns % format.length == 0 else {
      throw .groupDoesNotDivide(group: format.length, columns: columns)
    }
    try blocks.check(part: part, types: [.u8], shape: [rows, rowBytes])
    for row in 0..<rows {
      for index in 0..<blocksPerRow {
        let block = block(row: row, index: index)
        guard block.d.isFinite, block.minimum.isFinite else {
          throw .valueNotFinite(part: part, index: row * rowBytes + index * format.bytes)
        }
      }
    }
  }
}
