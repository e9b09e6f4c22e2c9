import Kernels
import LinearAlgebra
import Tensors

/// What a linear layer's input looks like: sums over its rows (low-rank.md §16).
///
/// With x the rows seen: `gram` = Σ xᵀx, products in f32 over tiles of at most 256 rows, added up
/// in f64; `sums` = Σ x, `absoluteSums` = Σ |x|, `squareSums` = Σ x², in f64; `maxima` = max |x|.
/// Merging adds up in the order of the calls, so that a fixed order gives fixed bits.
public struct InputStatistics: Sendable {
  /// The site: the first reader's module name.
  public let site: String
  /// The modules that read this input.
  public let readers: [String]
  /// The input's width.
  public let width: Int
  /// Rows seen.
  public private(set) var rows: Int
  public private(set) var sums: [Double]
  public private(set) var absoluteSums: [Double]
  public private(set) var squareSums: [Double]
  public private(set) var maxima: [Float]
  /// How far the input has drifted from the dense model's; nil where nobody watched both.
  public var drift: DriftStatistics?
  /// The Gram matrix's lower triangle within `width × width`; nil when only sums are gathered.
  ///
  /// Entries above the diagonal are incomplete: read it through `gram`.
  private var accumulator: [Double]?
  /// Whether both triangles are complete, as in statistics that were read.
  private var isMirrored = false

  /// Rows of a tile whose product is formed in f32 before it is added in f64.
  static let tileRows = 256
  /// The extent of a block of the Gram matrix, the unit that workers share out.
  static let blockWidth = 256

  /// Statistics of nothing yet.
  public init(site: String, readers: [String]? = nil, width: Int, withGram: Bool = true) {
    self.site = site
    self.readers = readers ?? [site]
    self.width = width
    rows = 0
    sums = Array(repeating: 0, count: width)
    absoluteSums = sums
    squareSums = sums
    maxima = Array(repeating: 0, count: width)
    accumulator = withGram ? Array(repeating: 0, count: width * width) : nil
  }

  /// Statistics read from elsewhere; counts that do not fit the width are a bug of the caller.
  ///
  /// - Parameter gram: symmetric; see `mirror`.
  public init(
    site: String, readers: [String], rows: Int, sums: [Double], absoluteSums: [Double],
    squareSums: [Double], maxima: [Float], gram: Matrix<Double>?
  ) {
    precondition(
      [sums.count, absoluteSums.count, squareSums.count].allSatisfy { $0 == maxima.count }
        && (gram.map { $0.rows == maxima.count && $0.columns == maxima.count } ?? true),
      "statistics of one width")
    self.site = site
    self.readers = readers
    width = maxima.count
    self.rows = rows
    self.sums = sums
    self.absoluteSums = absoluteSums
    self.squareSums = squareSums
    self.maxima = maxima
    accumulator = gram?.values
    isMirrored = true
  }

  /// Σ xᵀx, symmetric; nil when it was not gathered.
  public var gram: Matrix<Double>? {
    guard var values = accumulator else { return nil }
    if !isMirrored { Self.mirror(&values, width: width) }
    return Matrix(rows: width, columns: width, values: values)
  }

  /// Lets the lower triangle of a square matrix decide over the upper one.
  public static func mirror(_ values: inout [Double], width: Int) {
    precondition(values.count == width * width, "\(values.count) values for a width of \(width)")
    // Squares so small that rows a power of two apart do not drive each other out of the caches.
    let side = 8
    values.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      for top in stride(from: 0, to: width, by: side) {
        let rows = top..<min(top + side, width)
        for left in stride(from: 0, through: top, by: side) {
          for column in left..<min(left + side, width) {
            for row in max(rows.lowerBound, column + 1)..<max(rows.upperBound, column + 1) {
              start[column * width + row] = start[row * width + column]
            }
          }
        }
      }
    }
  }

  /// Whether a Gram matrix was gathered.
  public var hasGram: Bool { accumulator != nil }

  /// The bytes that these statistics take in memory.
  public var byteCount: Int { Self.byteCount(width: width, withGram: accumulator != nil) }

  /// The bytes that statistics of a width take in memory.
  public static func byteCount(width: Int, withGram: Bool) -> Int {
    width * (3 * 8 + 4) + (withGram ? width * width * 8 : 0)
  }

  /// Adds rows of the input, `count × width`.
  ///
  /// - Parameter batch: the number to name in the error when a value is not finite.
  /// - Throws: `ArchitectureError.notFinite`.
  public mutating func add(
    _ x: UnsafePointer<Float>, rows count: Int, batch: Int, pool: WorkerPool = .serial
  ) throws(ArchitectureError) {
    guard count > 0 else { return }
    guard pith_column_statistics(x, count, width, &sums, &absoluteSums, &squareSums, &maxima) == 1
    else { throw .notFinite(site: site, batch: batch) }
    rows += count
    guard accumulator != nil else { return }
    isMirrored = false
    addGram(x, rows: count, pool: pool)
  }

  /// The lower block triangle of xᵀx: each block is one worker's, its row tiles in order.
  private mutating func addGram(_ x: UnsafePointer<Float>, rows count: Int, pool: WorkerPool) {
    let block = Self.blockWidth
    let across = (width + block - 1) / block
    let pairs = (0..<across).flatMap { row in (0...row).map { (row, $0) } }
    let width = width
    accumulator?.withUnsafeMutableBufferPointer { target in
      // Blocks are disjoint, x is only read.
      nonisolated(unsafe) let base = target.baseAddress
      nonisolated(unsafe) let x = x
      pool.forEach(pairs.count) { (pair: Int) -> Void in
        guard let base else { return }
        let (first, second) = (pairs[pair].0 * block, pairs[pair].1 * block)
        let (m, n) = (min(block, width - first), min(block, width - second))
        withUnsafeTemporaryAllocation(of: Float.self, capacity: m * n) { tile in
          guard let c = tile.baseAddress else { return }
          for row in stride(from: 0, to: count, by: Self.tileRows) {
            let k = min(Self.tileRows, count - row)
            BLAS.gemm(
              m: m, n: n, k: k, alpha: 1, a: x + row * width + first, lda: width, transposeA: true,
              b: x + row * width + second, ldb: width, transposeB: false, beta: 0, c: c, ldc: n)
            pith_accumulate(base + first * width + second, width, c, m, n)
          }
        }
      }
    }
  }

  /// Adds another run's sums to these.
  ///
  /// - Throws: `ArchitectureError.statisticsDisagree` when the widths differ.
  public mutating func merge(_ other: InputStatistics) throws(ArchitectureError) {
    guard other.width == width else {
      throw .statisticsDisagree(site: site, left: width, right: other.width)
    }
    rows += other.rows
    for index in 0..<width {
      sums[index] += other.sums[index]
      absoluteSums[index] += other.absoluteSums[index]
      squareSums[index] += other.squareSums[index]
      maxima[index] = max(maxima[index], other.maxima[index])
    }
    guard let added = other.accumulator, accumulator != nil else {
      accumulator = nil
      return
    }
    for index in 0..<width * width { accumulator?[index] += added[index] }
    isMirrored = isMirrored && other.isMirrored
  }
}
