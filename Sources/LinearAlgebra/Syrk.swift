import Tensors

/// Gram matrices, XᵀX or XXᵀ, with both halves filled.
///
/// The lower half is computed in square tiles and mirrored; tiles and the order of every sum
/// depend on the extents alone.
public enum Syrk {
  /// Rows and columns of a tile: large ones pack less, small ones share out better.
  static func tileExtent(order: Int) -> Int { order >= 2048 ? 512 : 256 }

  /// Rows of f32 products that are summed in f32 before they join the f64 sum.
  static let chunkRows = 512

  /// XᵀX of a t × n matrix (n × n), or XXᵀ (t × t) with `ofRows`.
  ///
  /// - Throws: `LinearAlgebraError.tooLarge`.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func gram<S: BLASScalar>(
    _ x: Matrix<S>, ofRows: Bool = false, pool: WorkerPool = .serial
  ) throws -> Matrix<S> {
    let (order, depth) = ofRows ? (x.rows, x.columns) : (x.columns, x.rows)
    var result = Matrix<S>(rows: order, columns: order, repeating: 0)
    guard order > 0, depth > 0 else { return result }
    _ = try Workspace.extents("Syrk.gram", rows: x.rows, columns: x.columns)
    let stride = x.columns
    try x.values.withUnsafeBufferPointer { input in
      try result.values.withUnsafeMutableBufferPointer { output in
        nonisolated(unsafe) let (input, output) = (input, output)
        try forEachTile(order, pool) { (rows, columns) in
          guard let a = input.baseAddress, let c = output.baseAddress else { return }
          let target = c + rows.lowerBound * order + columns.lowerBound
          let left = a + (ofRows ? rows.lowerBound * stride : rows.lowerBound)
          if rows == columns {
            BLAS.syrk(
              n: rows.count, k: depth, alpha: 1, a: left, lda: stride, transposeA: !ofRows, beta: 0,
              c: target, ldc: order)
          } else {
            BLAS.gemm(
              m: rows.count, n: columns.count, k: depth, alpha: 1, a: left, lda: stride,
              transposeA: !ofRows,
              b: a + (ofRows ? columns.lowerBound * stride : columns.lowerBound), ldb: stride,
              transposeB: ofRows, beta: 0, c: target, ldc: order)
          }
        }
      }
    }
    try mirrorLower(&result, pool: pool)
    return result
  }

  /// H ← H + scale · XᵀX, X t × n in f32, H n × n in f64, both halves.
  ///
  /// Products of `chunkRows` rows are summed by f32 kernels, the chunks in f64: sums over 10⁵
  /// tokens in f32 alone lose positive definiteness.
  ///
  /// - Throws: `LinearAlgebraError.sizesDisagree` or `.tooLarge`.
  public static func accumulate(
    _ x: Matrix<Float>, scale: Double = 1, into h: inout Matrix<Double>,
    pool: WorkerPool = .serial
  ) throws {
    let order = x.columns
    guard h.rows == order, h.columns == order else {
      throw LinearAlgebraError.sizesDisagree(
        routine: "Syrk.accumulate", left: "\(x.rows) × \(order)", right: "\(h.rows) × \(h.columns)")
    }
    guard order > 0, x.rows > 0 else { return }
    _ = try Workspace.extents("Syrk.accumulate", rows: x.rows, columns: order)
    try x.values.withUnsafeBufferPointer { input in
      try h.values.withUnsafeMutableBufferPointer { output in
        nonisolated(unsafe) let (input, output) = (input, output)
        try forEachTile(order, pool) { (rows, columns) in
          guard let a = input.baseAddress, let c = output.baseAddress else { return }
          var product = [Float](repeating: 0, count: rows.count * columns.count)
          for start in stride(from: 0, to: x.rows, by: chunkRows) {
            let chunk = a + start * order
            BLAS.gemm(
              m: rows.count, n: columns.count, k: min(chunkRows, x.rows - start), alpha: 1,
              a: chunk + rows.lowerBound, lda: order, transposeA: true,
              b: chunk + columns.lowerBound, ldb: order, transposeB: false, beta: 0, c: &product,
              ldc: columns.count)
            for row in 0..<rows.count {
              let target = c + (rows.lowerBound + row) * order + columns.lowerBound
              for column in 0..<columns.count {
                target[column] += scale * Double(product[row * columns.count + column])
              }
            }
          }
        }
      }
    }
    try mirrorLower(&h, pool: pool)
  }

  /// XᵀX of an f32 matrix in f64.
  ///
  /// - Throws: as `accumulate(_:scale:into:pool:)`.
  public static func gramInDouble(
    _ x: Matrix<Float>, pool: WorkerPool = .serial
  ) throws -> Matrix<Double> {
    var result = Matrix<Double>(rows: x.columns, columns: x.columns, repeating: 0)
    try accumulate(x, into: &result, pool: pool)
    return result
  }

  /// XᵀX by three plain loops, sums in f64.
  public static func reference<S: BLASScalar>(_ x: Matrix<S>) -> Matrix<S> {
    Gemm.reference(x, transposed: true, x)
  }

  /// Copies the lower half of a square matrix onto its upper half.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public static func mirrorLower<S: BLASScalar>(
    _ matrix: inout Matrix<S>, pool: WorkerPool = .serial
  ) throws {
    let order = matrix.rows
    guard order == matrix.columns else {
      throw LinearAlgebraError.notSquare(
        routine: "Syrk.mirrorLower", rows: matrix.rows, columns: matrix.columns)
    }
    try matrix.values.withUnsafeMutableBufferPointer { output in
      nonisolated(unsafe) let output = output
      try forEachTile(order, pool) { (rows, columns) in
        for row in rows {
          for column in columns where column < row {
            output[column * order + row] = output[row * order + column]
          }
        }
      }
    }
  }

  /// Runs a body for every square tile that touches the lower half.
  private static func forEachTile(
    _ order: Int, _ pool: WorkerPool, _ body: @Sendable (Range<Int>, Range<Int>) -> Void
  ) throws {
    let tile = tileExtent(order: order)
    let side = (order + tile - 1) / tile
    let places = (0..<side).flatMap { row in (0...row).map { (row, $0) } }
    func range(_ index: Int) -> Range<Int> { index * tile..<min((index + 1) * tile, order) }
    let tiles = places.map { (range($0.0), range($0.1)) }
    try pool.forEach(tiles.count) { (index: Int) throws -> Void in
      body(tiles[index].0, tiles[index].1)
    }
  }
}
