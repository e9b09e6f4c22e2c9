import Kernels
import Tensors

/// A matrix rounded to bf16, for products with thin blocks from either side.
///
/// About three times as fast as sgemm where the processor has AVX512_BF16. Both factors are rounded to
/// 8 bits, sums are f32: good for finding a subspace, whose error enters only squared, not for values
/// that are stored. (1) The same bits with any number of workers; (2) an entry is off by at most
/// 2⁻⁸ of the sum of its terms' magnitudes, and f32's rounding of the sum; (3) numbers below f32's
/// normal range count as zero.
public struct HalfProducts: Sendable {
  public let rows: Int
  public let columns: Int
  /// ‖W‖_F² to f32's accuracy; not finite where an entry is not, or where squares leave f32's range.
  public let squaredNorm: Double
  /// Pairs along each row.
  private let across: [UInt32]
  /// Pairs of rows, in panels of columns.
  private let down: [UInt32]

  /// Whether products are quick here; where not, there is no use in rounding.
  public static var isAvailable: Bool { pith_bf16_products_available() != 0 }

  /// Rounds a matrix, 4 bytes an entry in all.
  public init(_ matrix: Matrix<Float>) {
    let (rows, columns) = (matrix.rows, matrix.columns)
    (self.rows, self.columns) = (rows, columns)
    var (norm, panels) = (0.0, [UInt32]())
    across = Self.packed(rows * Self.pairs(columns)) { lying in
      panels = Self.packed(Self.panels(columns) * Self.panel * Self.pairs(rows)) { target in
        matrix.values.withUnsafeBufferPointer { source in
          guard let from = source.baseAddress else { return }
          norm = pith_bf16_pack(from, rows, columns, lying, target)
        }
      }
    }
    (down, squaredNorm) = (panels, norm)
  }

  /// W · x, x n × b.
  public func multiplied(by x: Matrix<Float>, pool: WorkerPool = .serial) -> Matrix<Float> {
    precondition(x.rows == columns, "\(rows) × \(columns) times \(x.rows) × \(x.columns)")
    let depth = Self.pairs(columns)
    return Self.product(
      across, (Self.panel * depth, depth, 1), rows: rows, depth: depth, by: x, pool: pool)
  }

  /// Wᵀ · x, x m × b.
  public func multipliedTransposed(
    by x: Matrix<Float>, pool: WorkerPool = .serial
  ) -> Matrix<Float> {
    precondition(x.rows == rows, "(\(rows) × \(columns))ᵀ times \(x.rows) × \(x.columns)")
    let depth = Self.pairs(rows)
    return Self.product(
      down, (depth * Self.panel, 1, Self.panel), rows: columns, depth: depth, by: x, pool: pool)
  }

  private static let panel = Int(PITH_PAIR_PANEL)
  /// Rows of the result that a worker makes at a time, a multiple of a panel.
  private static let tileRows = 256

  private static func pairs(_ count: Int) -> Int { (count + 1) / 2 }
  private static func panels(_ count: Int) -> Int { (count + panel - 1) / panel }

  private static func packed(
    _ count: Int, _ fill: (UnsafeMutablePointer<UInt32>) -> Void
  ) -> [UInt32] {
    Array(unsafeUninitializedCapacity: count) { buffer, filled in
      if let target = buffer.baseAddress { fill(target) }
      filled = count
    }
  }

  private static func product(
    _ left: [UInt32], _ steps: (panel: Int, row: Int, pair: Int), rows: Int, depth: Int,
    by x: Matrix<Float>, pool: WorkerPool
  ) -> Matrix<Float> {
    let (width, columns) = (panels(x.columns) * panel, x.columns)
    let block = packed(depth * width) { target in
      x.values.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress else { return }
        pith_bf16_block(from, x.rows, columns, width, target)
      }
    }
    return Matrix(rows: rows, columns: columns) { result in
      left.withUnsafeBufferPointer { left in
        block.withUnsafeBufferPointer { block in
          // Disjoint rows of the result, shared operands: no two workers write to one place.
          nonisolated(unsafe) let (leftBase, blockBase, target) = (
            left.baseAddress, block.baseAddress, result.baseAddress
          )
          pool.forEach((rows + tileRows - 1) / tileRows) { (tile: Int) -> Void in
            guard let leftBase, let blockBase, let target else { return }
            let first = tile * tileRows
            pith_bf16_multiply(
              PithPairs(
                pairs: leftBase, panel_step: steps.panel, row_step: steps.row,
                pair_step: steps.pair),
              first, min(tileRows, rows - first), depth, blockBase, width, columns,
              target + first * columns, columns)
          }
        }
      }
    }
  }
}
