import Kernels
import LinearAlgebra

/// Rows of a matrix as lanes: its columns contiguous, in the order asked for.
enum TileLayout {
  /// Some rows, columns × stride, rows beyond them zero.
  static func gathered<S: SweepScalar>(
    _ values: UnsafePointer<Float>, width: Int, rows: Range<Int>, stride: Int,
    order: [Int], into target: UnsafeMutablePointer<S>
  ) {
    // Sixteen rows at a time: what is read stays in the second cache, what is written is whole
    // lines.
    let strip = 16
    for first in Swift.stride(from: 0, to: stride, by: strip) {
      let inside = max(0, min(rows.count - first, strip))
      let source = values + (rows.lowerBound + first) * width
      for (position, column) in order.enumerated() {
        let to = target + position * stride + first
        for row in 0..<inside { to[row] = S(source[row * width + column]) }
        for row in inside..<strip { to[row] = 0 }
      }
    }
  }

  /// Codes by columns (columns × stride) as packed rows, `rows` of them.
  static func packed(
    _ codes: UnsafePointer<UInt8>, columns: Int, rows: Int, stride: Int,
    line: (_ row: Int, _ codes: UnsafePointer<UInt8>) -> Void
  ) {
    let strip = 16
    // Lines a power of two apart would share a few sets of the first cache.
    let pitch = columns + 64
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: strip * pitch) { lines in
      guard let start = lines.baseAddress else { return }
      for first in Swift.stride(from: 0, to: rows, by: strip) {
        let inside = min(rows - first, strip)
        let whole = inside == strip ? columns / strip * strip : 0
        pith_turn_bytes(codes + first, stride, whole, start, pitch)
        for column in whole..<columns {
          let from = codes + column * stride + first
          for row in 0..<inside { start[row * pitch + column] = from[row] }
        }
        for row in 0..<inside { line(first + row, UnsafePointer(start) + row * pitch) }
      }
    }
  }
}
