import Kernels
import LinearAlgebra

/// Rows of a matrix as lanes: its columns contiguous, in the order asked for.
enum TileLayout {
  /// Rows that are turned about together.
  private static let strip = 16

  /// Some rows, columns × stride, rows beyond them zero.
  static func gathered<S: SweepScalar>(
    _ values: UnsafePointer<Float>, width: Int, rows: Range<Int>, stride: Int,
    order: [Int], into target: UnsafeMutablePointer<S>
  ) {
    var places = [Int](repeating: 0, count: width)
    for (position, column) in order.enumerated() { places[column] = position }
    // Sixteen rows at a time: what is read stays in the second cache, what is written is whole
    // lines.
    for first in Swift.stride(from: 0, to: stride, by: strip) {
      let inside = max(0, min(rows.count - first, strip))
      let source = values + (rows.lowerBound + first) * width
      let single = UnsafeMutableRawPointer(target).assumingMemoryBound(to: Float.self)
      let whole = S.self == Float.self && inside == strip ? width / strip * strip : 0
      withUnsafeTemporaryAllocation(of: Float.self, capacity: strip * strip) { square in
        guard let lines = square.baseAddress else { return }
        for start in Swift.stride(from: 0, to: whole, by: strip) {
          pith_turn_floats(source + start, width, lines, strip)
          for index in 0..<strip {
            (single + places[start + index] * stride + first).update(
              from: lines + index * strip, count: strip)
          }
        }
      }
      for column in whole..<width {
        let to = target + places[column] * stride + first
        for row in 0..<inside { to[row] = S(source[row * width + column]) }
        for row in inside..<strip { to[row] = 0 }
      }
    }
  }

  /// Columns of a tile, columns × stride, as rows × columns, the last column first.
  static func turned<S: SweepScalar>(
    _ values: UnsafePointer<S>, columns: Int, rows: Int, stride: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    let single = UnsafeRawPointer(values).assumingMemoryBound(to: Float.self)
    for first in Swift.stride(from: 0, to: rows, by: strip) {
      let inside = min(rows - first, strip)
      let whole = S.self == Float.self && inside == strip ? columns / strip * strip : 0
      for start in Swift.stride(from: 0, to: whole, by: strip) {
        pith_turn_floats(
          single + (columns - 1 - start) * stride + first, -stride,
          target + first * columns + start, columns)
      }
      for place in whole..<columns {
        let from = values + (columns - 1 - place) * stride + first
        for row in 0..<inside { target[(first + row) * columns + place] = Float(from[row]) }
      }
    }
  }

  /// Codes by columns (columns × stride) as packed rows, `rows` of them.
  static func packed(
    _ codes: UnsafePointer<UInt8>, columns: Int, rows: Int, stride: Int,
    line: (_ row: Int, _ codes: UnsafePointer<UInt8>) -> Void
  ) {
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
