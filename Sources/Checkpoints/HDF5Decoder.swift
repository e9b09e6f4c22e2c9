import CHDF5
import Synchronization
import Tensors

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Decodes chunked and compressed rows in a child process, whole chunks at a time.
///
/// The last rows are kept: a reader that asks for fewer rows than a chunk spans gets the next ones
/// without decoding the chunk again.
final class HDF5Decoder: Sendable {
  private let input: HDF5Range
  private let last: Mutex<Piece?> = Mutex(nil)

  /// Rows are decoded in pieces of about this size, so that memory stays bounded.
  private static let pieceBytes = 16 << 20

  private struct Piece: Sendable {
    let address: UInt64
    let rows: Range<Int>
    let bytes: Bytes
  }

  init(_ input: HDF5Range) { self.input = input }

  func read(
    _ dataset: HDF5Dataset, address: UInt64, chunkRows: Int, rows: Range<Int>,
    into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let rowBytes = dataset.shape.rowElementCount * dataset.dtype.bytes
    let pieceRows = max(1, Self.pieceBytes / max(1, rowBytes * chunkRows)) * chunkRows
    var row = rows.lowerBound
    while row < rows.upperBound {
      let piece = try piece(
        dataset, address, chunkRows, from: row, upTo: rows.upperBound, pieceRows)
      let end = min(rows.upperBound, piece.rows.upperBound)
      let source = (row - piece.rows.lowerBound) * rowBytes
      let destination = (row - rows.lowerBound) * rowBytes
      let count = (end - row) * rowBytes
      // The memory goes with the piece, which a later read may replace.
      withExtendedLifetime(piece) {
        UnsafeMutableRawBufferPointer(rebasing: target[destination..<destination + count])
          .copyMemory(
            from: UnsafeRawBufferPointer(rebasing: piece.bytes.buffer[source..<source + count]))
      }
      row = end
    }
  }

  private func piece(
    _ dataset: HDF5Dataset, _ address: UInt64, _ chunkRows: Int, from row: Int, upTo end: Int,
    _ pieceRows: Int
  ) throws(CheckpointError) -> Piece {
    let kept = last.withLock { $0 }
    if let kept, kept.address == address, kept.rows.contains(row) { return kept }
    let first = row / chunkRows * chunkRows
    let aligned = (end + chunkRows - 1) / chunkRows * chunkRows
    let rows = first..<min(dataset.shape.rows, aligned, first + pieceRows)
    let piece = Piece(
      address: address, rows: rows, bytes: try decode(dataset, address: address, rows: rows))
    last.withLock { $0 = piece }
    return piece
  }

  /// Decodes rows into memory that this process shares with the child.
  private func decode(
    _ dataset: HDF5Dataset, address: UInt64, rows: Range<Int>
  ) throws(CheckpointError) -> Bytes {
    let count = rows.count * dataset.shape.rowElementCount * dataset.dtype.bytes
    guard
      let memory = mmap(
        nil, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { throw .cannotMap(path: input.path, reason: FileIO.lastError) }
    let bytes = Bytes(
      borrowing: UnsafeRawBufferPointer(start: memory, count: count),
      release: { munmap(memory, count) })
    let request = pith_read_request(
      address: address, first: UInt64(rows.lowerBound), count: UInt64(rows.count),
      element_bytes: UInt64(dataset.dtype.bytes), total_bytes: UInt64(count), target: memory)
    let answer = try HDF5ChildProcess.run(input) { pith_read_start($0, request) }
    guard answer.first == UInt8(ascii: "E") else {
      throw .hdf5(
        path: input.path,
        .cannotDecode(dataset: dataset.path, reason: Self.reason(answer)))
    }
    return bytes
  }

  private static func reason(_ answer: [UInt8]) -> String {
    answer.withUnsafeBytes { buffer in
      var cursor = HDF5IndexCursor(buffer)
      guard (try? cursor.byte()) != nil, (try? cursor.byte()) != nil,
        (try? cursor.shownText()) != nil, let reason = try? cursor.shownText()
      else { return "" }
      return reason
    }
  }
}

/// Byte order of elements.
enum ByteOrder {
  /// Swaps the bytes of every element in place.
  static func swap(_ bytes: UnsafeMutableRawBufferPointer, elementBytes: Int) {
    switch elementBytes {
    case 2: swap(bytes, as: UInt16.self)
    case 4: swap(bytes, as: UInt32.self)
    case 8: swap(bytes, as: UInt64.self)
    default: break
    }
  }

  private static func swap<Element: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeMutableRawBufferPointer, as type: Element.Type
  ) {
    for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Element>.size) {
      let element = bytes.loadUnaligned(fromByteOffset: offset, as: type)
      bytes.storeBytes(of: element.byteSwapped, toByteOffset: offset, as: type)
    }
  }
}
