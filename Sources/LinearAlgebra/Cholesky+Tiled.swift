import Tensors

extension Cholesky {
  /// Rows and columns of a tile; one call of LAPACK factors a diagonal one.
  static let tile = 256

  /// The lower L with L·Lᵀ = H + dampingUsed · mean(diag H) · I, tiles shared out over a pool.
  ///
  /// The same bits with any number of workers. The other half of the result holds zeros.
  ///
  /// - Parameters:
  ///   - order: n.
  ///   - fill: writes row i of H, its columns 0…i, to the pointer; called once per row and try, by
  ///     any worker.
  /// - Throws: `LinearAlgebraError.empty`, `.tooLarge`, `.parameterOutOfRange`,
  ///   `.notPositiveDefinite` when the ladder ends.
  public static func factor<S: BLASScalar>(
    order: Int, damping: Double = 0, pool: WorkerPool = .serial,
    fill: @Sendable (_ row: Int, _ target: UnsafeMutablePointer<S>) -> Void
  ) throws(LinearAlgebraError) -> CholeskyResult<S> {
    _ = try Workspace.extents("Cholesky.factor", rows: order, columns: order)
    var attempts: [CholeskyAttempt] = []
    let matrix: Matrix<S>
    do {
      matrix = try Matrix<S>(rows: order, columns: order) { storage in
        guard let base = storage.baseAddress else { return }
        attempts = try factor(order: order, damping: damping, pool: pool, into: base, fill: fill)
      }
    } catch let error as LinearAlgebraError {
      throw error
    } catch { preconditionFailure("a factor throws errors of its own, not \(error)") }
    return CholeskyResult(
      factor: matrix, dampingUsed: attempts.last?.damping ?? damping, attempts: attempts)
  }

  /// The same into memory that the caller has, order × order numbers.
  ///
  /// - Returns: every try, the last one the successful one.
  /// - Throws: as `factor(order:damping:pool:fill:)`; the memory's numbers are arbitrary then.
  public static func factor<S: BLASScalar>(
    order: Int, damping: Double, pool: WorkerPool, into base: UnsafeMutablePointer<S>,
    fill: @Sendable (_ row: Int, _ target: UnsafeMutablePointer<S>) -> Void
  ) throws(LinearAlgebraError) -> [CholeskyAttempt] {
    let routine = "Cholesky.factor"
    let extent = try Workspace.extents(routine, rows: order, columns: order).rows
    guard damping >= 0, damping.isFinite else {
      throw .parameterOutOfRange(
        routine: routine, name: "damping", value: "\(damping)", allowed: "0 or a positive number")
    }
    BLAS.prepare()
    var attempts: [CholeskyAttempt] = []
    var rungs = [damping]
    nonisolated(unsafe) let a = base
    while let rung = rungs.first {
      rungs.removeFirst()
      pool.forEach((order + tile - 1) / tile) { (band: Int) -> Void in
        for row in band * tile..<min((band + 1) * tile, order) {
          fill(row, a + row * order)
          // As bytes: of a generic type, one number at a time goes through a table of functions.
          let rest = order - row - 1
          UnsafeMutableRawPointer(a + row * order + row + 1).initializeMemory(
            as: UInt8.self, repeating: 0, count: rest * MemoryLayout<S>.stride)
        }
      }
      let mean = (0..<order).reduce(0.0) { $0 + Double(a[$1 * order + $1]) } / Double(order)
      if attempts.isEmpty, mean > 0 { rungs = Array(dampings(from: damping).dropFirst()) }
      for index in 0..<order { a[index * order + index] += S(rung * mean) }
      let failure = factorTiles(a, order: order, extent: extent, pool: pool)
      attempts.append(CholeskyAttempt(damping: rung, failedAt: failure))
      if failure == nil { return attempts }
    }
    throw .notPositiveDefinite(
      routine: routine, order: order, dampings: attempts.map(\.damping),
      failedAt: attempts.last?.failedAt ?? 0)
  }

  /// In place, a column of tiles after the other; the row whose pivot was not positive, or nil.
  private static func factorTiles<S: BLASScalar>(
    _ base: UnsafeMutablePointer<S>, order: Int, extent: Int32, pool: WorkerPool
  ) -> Int? {
    nonisolated(unsafe) let a = base
    for start in stride(from: 0, to: order, by: tile) {
      let width = min(tile, order - start)
      let below = (order - start + tile - 1) / tile
      // What the columns of tiles to the left have to say, one long product per pair of tiles.
      if start > 0 {
        // Two tiles at a time: what they share is packed once for both.
        pool.forEach((below + 1) / 2) { (index: Int) -> Void in
          let range = start + 2 * index * tile..<min(start + 2 * (index + 1) * tile, order)
          BLAS.gemm(
            m: range.count, n: width, k: start, alpha: -1, a: a + range.lowerBound * order,
            lda: order, transposeA: false, b: a + start * order, ldb: order, transposeB: true,
            beta: 1, c: a + range.lowerBound * order + start, ldc: order)
        }
      }
      let corner = a + start * order + start
      // Row-major lower is the column-major library's upper.
      let info = S._potrf(CChar(UInt8(ascii: "U")), Int32(width), corner, extent)
      if info != 0 { return start + max(Int(info) - 1, 0) }
      for row in 0..<width {
        for column in row + 1..<max(width, row + 1) { corner[row * order + column] = 0 }
      }
      pool.forEach(below - 1) { (index: Int) -> Void in
        let range = start + (index + 1) * tile..<min(start + (index + 2) * tile, order)
        BLAS.trsm(
          m: range.count, n: width, alpha: 1, a: a + start * order + start, lda: order,
          triangle: .lower, transposeA: true, triangleOnLeft: false,
          b: a + range.lowerBound * order + start, ldb: order)
      }
    }
    return nil
  }
}
