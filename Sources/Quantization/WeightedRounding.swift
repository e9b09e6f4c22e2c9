import LinearAlgebra
import Tensors
import Weights

/// Round-to-nearest whose ranges are chosen by what they cost at the layer's output.
///
/// AWQ's second half: for each group of an output channel the range times p = 1 − i·shrink/steps with
/// the least e·G_gg·eᵀ, e the group's rounding error and G_gg its block of the inputs' Gram matrix:
/// the group's own part of the output error, loud inputs counting more.
public enum WeightedRounding {
  /// A weight with what its base holds now on an integer grid.
  ///
  /// (1) No row's output error (under the whole Gram matrix, in f32) is larger than with the scheme's
  /// own choice of ranges: a row that would lose keeps that; (2) with a Gram matrix of zeros the
  /// result is round-to-nearest's; (3) the same bits with any number of workers.
  ///
  /// - Parameters:
  ///   - gram: Σ xᵀx of the inputs that the base sees.
  ///   - steps: ranges tried, the whole one among them.
  ///   - shrink: up to which part the range is shrunk, 0 to 1.
  public static func quantize(
    _ weight: CompressedWeight, gram: Matrix<Double>, scheme: IntegerScheme, steps: Int = 32,
    shrink: Double = 0.8, pool: WorkerPool = .serial
  ) throws(QuantizationError) -> CompressedWeight {
    guard let base = weight.base else { throw .weights(.baseMissing(operation: "quantize")) }
    let (rows, columns) = (weight.rows, weight.columns)
    guard gram.rows == columns, gram.columns == columns else {
      throw .statisticsMismatch(rows: rows, columns: columns, gram: [gram.rows, gram.columns])
    }
    if let index = gram.values.firstIndex(where: { !$0.isFinite }) {
      throw .statisticsNotFinite(row: index / columns, column: index % columns)
    }
    var result = weight
    let plain: IntegerBase
    do {
      plain = try IntegerBase.roundToNearest(
        base.decoded(), scheme: scheme, mask: weight.mask, pool: pool)
    } catch { throw .weights(error) }
    let mean = (0..<columns).reduce(0.0) { $0 + gram[$1, $1] } / Double(max(columns, 1))
    // One scale for all rows has nothing to choose row by row.
    guard mean > 0, rows > 0, scheme.granularity != .tensor else {
      result.base = .integer(plain)
      return result
    }
    let search = RangeSearch(
      target: weight.decodedBase(), plain: plain, scheme: scheme,
      gram: Matrix(rows: columns, columns: columns, values: gram.values.map { Float($0 / mean) }),
      shrinks: (0..<max(steps, 1)).map { 1 - Double($0) * shrink / Double(max(steps, 1)) })
    result.base = .integer(search.run(pool: pool))
    return result
  }
}

/// The search over all rows, in tiles.
private struct RangeSearch: Sendable {
  let target: Matrix<Float>
  let plain: IntegerBase
  let scheme: IntegerScheme
  /// Over its mean diagonal.
  let gram: Matrix<Float>
  let shrinks: [Double]

  static let tileRows = 64

  struct Tile: Sendable {
    var codes: [UInt8] = []
    var scales: [Float] = []
    var zeros: [UInt8] = []
  }

  func run(pool: WorkerPool) -> IntegerBase {
    let (rows, columns) = (target.rows, target.columns)
    let count = (rows + Self.tileRows - 1) / Self.tileRows
    let tiles =
      (try? pool.map(count) { tile -> Tile in
        self.tile(rows: tile * Self.tileRows..<min((tile + 1) * Self.tileRows, rows))
      }) ?? []
    let grid = plain.grid
    let groups = columns / max(grid.reach(columns: columns), 1)
    return IntegerBase(
      grid: grid, rows: rows, columns: columns,
      codes: Tensor(
        dtype: .u8, shape: [rows, PackedCodes.bytes(count: columns, bits: grid.bits)],
        array: tiles.flatMap(\.codes)),
      scales: grid.tensor(ofScales: tiles.flatMap(\.scales), shape: [rows, groups]),
      zeros: grid.symmetric
        ? nil
        : Tensor(
          dtype: .u8, shape: [rows, PackedCodes.bytes(count: groups, bits: grid.bits)],
          array: tiles.flatMap(\.zeros)))
  }

  private func tile(rows: Range<Int>) -> Tile {
    let columns = target.columns
    let group = plain.grid.reach(columns: columns)
    let groups = columns / group
    var chosen = rows.map { row in (0..<groups).map { plain.point(row, $0 * group) } }
    let old = chosen
    for index in 0..<groups {
      let first = index * group
      var least = errors(rows, chosen.map { $0[index] }, first: first, group: group)
      let ranges = rows.map { row in range(row: row, first: first, group: group) }
      for shrink in shrinks {
        let points = ranges.map {
          scheme.point(minimum: $0.low, maximum: $0.high, shrink: shrink)
        }
        let found = errors(rows, points, first: first, group: group)
        for row in 0..<rows.count where found[row] < least[row] {
          least[row] = found[row]
          chosen[row][index] = points[row]
        }
      }
    }
    // Groups were looked at alone; together they may have lost.
    let before = errors(rows, old, group: group)
    let after = errors(rows, chosen, group: group)
    var result = Tile()
    for row in 0..<rows.count {
      let points = after[row] < before[row] ? chosen[row] : old[row]
      var codes = [UInt8](repeating: 0, count: columns)
      for column in 0..<columns {
        codes[column] = code(
          target.values[(rows.lowerBound + row) * columns + column], points[column / group])
      }
      result.codes += PackedCodes.pack(codes, bits: plain.grid.bits)
      result.scales += points.map(\.scale)
      if !plain.grid.symmetric {
        result.zeros += PackedCodes.pack(points.map { UInt8($0.zero) }, bits: plain.grid.bits)
      }
    }
    return result
  }

  private func range(row: Int, first: Int, group: Int) -> (low: Float, high: Float) {
    var (low, high): (Float, Float) = (0, 0)
    let start = row * target.columns + first
    for place in start..<start + group {
      low = min(low, target.values[place])
      high = max(high, target.values[place])
    }
    return (low, high)
  }

  private func code(_ value: Float, _ point: IntegerGridPoint) -> UInt8 {
    let top = Float((1 << plain.grid.bits) - 1)
    let code = (value / point.scale).rounded(.toNearestOrEven) + Float(point.zero)
    return UInt8(min(max(code, 0), top))
  }

  private func error(_ value: Float, _ point: IntegerGridPoint) -> Float {
    (Float(code(value, point)) - Float(point.zero)) * point.scale - value
  }

  /// e·G_gg·eᵀ of one group of every row.
  private func errors(
    _ rows: Range<Int>, _ points: [IntegerGridPoint], first: Int, group: Int
  ) -> [Float] {
    let columns = target.columns
    var difference = [Float](repeating: 0, count: rows.count * group)
    for (index, row) in rows.enumerated() {
      let point = points[index]
      for column in 0..<group {
        difference[index * group + column] = error(
          target.values[row * columns + first + column], point)
      }
    }
    return energies(difference, rows: rows.count, first: first, width: group)
  }

  /// e·G·eᵀ of whole rows.
  private func errors(
    _ rows: Range<Int>, _ points: [[IntegerGridPoint]], group: Int
  ) -> [Float] {
    let columns = target.columns
    var difference = [Float](repeating: 0, count: rows.count * columns)
    for (index, row) in rows.enumerated() {
      for column in 0..<columns {
        difference[index * columns + column] = error(
          target.values[row * columns + column], points[index][column / group])
      }
    }
    return energies(difference, rows: rows.count, first: 0, width: columns)
  }

  private func energies(_ e: [Float], rows: Int, first: Int, width: Int) -> [Float] {
    let columns = gram.columns
    var product = [Float](repeating: 0, count: rows * width)
    return e.withUnsafeBufferPointer { e in
      gram.values.withUnsafeBufferPointer { gram in
        guard let left = e.baseAddress, let right = gram.baseAddress else { return [] }
        BLAS.gemm(
          m: rows, n: width, k: width, alpha: 1, a: left, lda: width, transposeA: false,
          b: right + first * columns + first, ldb: columns, transposeB: false, beta: 0,
          c: &product, ldc: width)
        return (0..<rows).map { row in
          product.withUnsafeBufferPointer {
            guard let right = $0.baseAddress else { return 0 }
            return BLAS.dot(n: width, x: left + row * width, y: right + row * width)
          }
        }
      }
    }
  }
}
