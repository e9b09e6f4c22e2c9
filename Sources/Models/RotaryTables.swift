import Architectures
import Synchronization

/// cos and sin of the rotary angles, as many positions as were asked for so far.
final class RotaryTables: Sendable {
  /// `positions × dimension / 2` each.
  struct Tables: Sendable {
    let positions: Int
    let cosines: [Float]
    let sines: [Float]
  }

  private let encoding: RotaryEncoding
  private let dimension: Int
  private let limit: Int
  private let tables = Mutex(Tables(positions: 0, cosines: [], sines: []))

  init(_ encoding: RotaryEncoding, dimension: Int, limit: Int) {
    self.encoding = encoding
    self.dimension = dimension
    self.limit = limit
  }

  /// Tables of at least so many positions; rows do not depend on how many there are.
  func covering(_ positions: Int) -> Tables {
    tables.withLock { tables in
      if tables.positions < positions {
        let count = min(max(positions, 2 * tables.positions, 256), max(limit, positions))
        let (cosines, sines) = encoding.tables(positions: count, dimension: dimension)
        tables = Tables(positions: count, cosines: cosines, sines: sines)
      }
      return tables
    }
  }
}
