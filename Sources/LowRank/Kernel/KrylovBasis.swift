import LinearAlgebra
import Tensors

/// Orthonormal blocks of a Krylov space, each orthogonal to those before it.
///
/// A candidate is freed from the earlier blocks and made orthonormal by Cholesky; where that took
/// most of it away, rounding has brought the others back in, and it goes through once more. A
/// candidate of which nothing but rounding is left (a matrix of low rank, or one value many times:
/// W·Wᵀ adds nothing to the space then) is replaced by random signs, since blocks narrower than
/// the rank would otherwise never reach all of it.
struct KrylovBasis<S: BLASScalar> {
  private(set) var blocks: [Matrix<S>] = []
  let rows: Int
  let seed: UInt64
  let stream: UInt32
  let pool: WorkerPool

  init(rows: Int, seed: UInt64, stream: UInt32, pool: WorkerPool) {
    self.rows = rows
    self.seed = seed
    self.stream = stream
    self.pool = pool
  }

  var columns: Int { blocks.reduce(0) { $0 + $1.columns } }

  /// All blocks side by side.
  var matrix: Matrix<S> { blocks.count == 1 ? blocks[0] : .sideBySide(blocks) }

  /// Adds what a candidate has that the space has not, at most as wide as there is room.
  ///
  /// - Parameter scale: ‖·‖_F² beside which rounding noise is told from the rest, where it is more
  ///   than the candidate's own.
  /// - Returns: the new block; nil when the space is whole.
  @discardableResult
  mutating func append(_ candidate: Matrix<S>, scale: Double = 0) throws -> Matrix<S>? {
    let room = rows - columns
    guard room > 0 else { return nil }
    var next = candidate.columns > room ? candidate.columns(0..<room) : candidate
    let whole = next.squaredNorm
    try project(&next)
    let left = blocks.isEmpty ? whole : next.squaredNorm
    let noise = 32 * Double(S.ulpOfOne)
    if left <= noise * noise * max(scale, whole) {
      next = Sketch.signs(
        rows: rows, columns: next.columns, seed: seed, stream: stream,
        query: UInt32(truncatingIfNeeded: 2 + blocks.count))
      try project(&next)
    }
    let basis = try OrthonormalBasis.orthonormalised(next, pool: pool)
    next = basis.columns
    // Rounding noise of the projection, against the least that any column may have lost.
    if !basis.isSafe || left < 1e-5 * whole {
      try project(&next)
      next = try OrthonormalBasis.orthonormalised(next, pool: pool).columns
    }
    blocks.append(next)
    return next
  }

  private func project(_ candidate: inout Matrix<S>) throws {
    for block in blocks {
      let along = try block.multiplied(by: candidate, transposeSelf: true, pool: pool)
      try Gemm.subtract(block, along, from: &candidate, pool: pool)
    }
  }
}
