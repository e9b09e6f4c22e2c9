/// What a product with a sparse weight takes: through survivors alone, or through decoded tiles.
///
/// Nanoseconds for sixteen columns of one output, fitted to Tests/WeightsTests/
/// SparseMultiplyFigures.swift on one AVX-512 core (docs/performance.md, "Products through survivors
/// alone"). Only which of the two is less matters, and both move with the machine.
struct SparseCost: Sendable, Hashable {
  /// Reading positions and codes, on either way.
  var reading: Double
  /// Survivors alone: spreading them in registers, for every run of rows of inputs.
  var pass: Double
  /// Survivors alone: each row of inputs.
  var row: Double
  /// Decoded tiles: spreading survivors into them.
  var spreading: Double

  /// Decoded tiles: the product with whatever rows there are, and each row.
  static let (product, productRow) = (5.8, 0.11)

  init(positions: SparsePositions, isCoded: Bool, density: Double) {
    let survivors = 16 * density
    switch positions {
    case .bitmap, .patterns:
      reading = isCoded ? 0.8 : 0
      if case .patterns = positions { reading += 1.9 }
      pass = isCoded ? 1.9 : 1.5
      row = 0.45
      spreading = isCoded ? 2.1 : 1.4
    case .gaps:
      reading = isCoded ? 0.6 + 1.75 * survivors : 0
      pass = 0
      row = 0.25 + 0.38 * survivors
      spreading = 0.1 + 0.8 * survivors
    }
  }

  func survivorsAlone(rows: Int) -> Double {
    // Eight rows of inputs share what was spread, or four, or two.
    let passes = rows / 8 + (rows % 8).nonzeroBitCount
    return reading + Double(passes) * pass + Double(rows) * row
  }

  func decodedTiles(rows: Int) -> Double {
    reading + spreading + Self.product + Double(rows) * Self.productRow
  }
}

extension SparseBase {
  /// Whether a product with so many rows of inputs goes through the survivors alone.
  func prefersSurvivors(rows count: Int) -> Bool {
    let cost = cost
    return cost.survivorsAlone(rows: count) <= cost.decodedTiles(rows: count)
  }

  var cost: SparseCost {
    let isCoded = if case .integer = survivors { true } else { false }
    let entries = max(rows * columns, 1)
    return SparseCost(
      positions: positions, isCoded: isCoded, density: Double(survivorCount) / Double(entries))
  }
}
