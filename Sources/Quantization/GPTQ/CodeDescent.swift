import Kernels
import LinearAlgebra
import Tensors
import Weights

/// Learned rounding without gradients: coordinate descent on the layer's own quadratic.
///
/// The error tr(D·H·Dᵀ) is quadratic in every value, so with the others as they are the best code
/// of one entry is the one nearest to w_j − d_j + (D·H)_j / H_jj. Entries are visited in turn, in
/// blocks of inputs with their part of D·H at hand; what a block changed goes to the others as one
/// product. Codes go up and down by any number of steps, which rounding up or down (AdaRound,
/// arXiv 2004.10568) does not allow.
public enum CodeDescent {
  /// What the descent did.
  public struct Report: Sendable, Hashable {
    /// tr(D·H·Dᵀ) with the codes as they were.
    public var before: Double
    /// tr(D·H·Dᵀ) with the codes as they are; at most `before`.
    public var after: Double
    public var codesChanged: Int
  }

  /// The weight with its codes moved to where the weighted error is less.
  ///
  /// (1) Scales and zero points are untouched; (2) no row ends worse; (3) masked entries and the
  /// columns of outliers stay as they are; (4) inputs with no energy keep their codes; (5) the same bits with any number of workers.
  ///
  /// - Parameters:
  ///   - target: what the base ⊙ mask should stand for, out × in.
  ///   - passes: visits of each block's entries before the next block's.
  /// - Throws: `QuantizationError`.
  public static func descend(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: Matrix<Double>, passes: Int = 4,
    pool: WorkerPool = .serial
  ) throws(QuantizationError) -> (weight: CompressedWeight, report: Report) {
    guard case .integer? = weight.base else { throw .notQuantized(operation: "a descent") }
    let prepared = try NormalizedGram(gram, weight: weight, target: target, operation: "a descent")
    return descend(weight, target: target, gram: prepared, passes: passes, pool: pool)
  }

  /// As above, everything checked; with `search`, blocks of codes are chosen together instead, and
  /// grids move.
  static func descend(
    _ weight: CompressedWeight, target: Matrix<Float>, gram: NormalizedGram, passes: Int = 4,
    search: BeamPlan.Round? = nil, pool: WorkerPool
  ) -> (weight: CompressedWeight, report: Report) {
    guard case .integer(let base) = weight.base, base.rows > 0, gram.mean > 0 else {
      return (weight, Report(before: 0, after: 0, codesChanged: 0))
    }
    let frozen = Set(weight.outliers?.columnNumbers ?? [])
    let rows = base.rows
    let tile = rows >= 2048 ? 256 : rows >= 512 ? 64 : 32
    let bytes = PackedCodes.bytes(count: base.columns, bits: base.grid.bits)
    let job = DescentJob(
      base: base, mask: weight.mask, frozen: frozen, target: target, gram: gram.values,
      passes: passes,
      beam: search.map { BeamPlan($0, base: base, frozen: frozen, gram: gram.values) })
    let movesGrids = job.beam?.movesGrids ?? false
    var packed = base.codes.bytes.array(of: UInt8.self)
    var (scales, zeros) = (job.scales, job.zeros)
    let tiles = packed.withUnsafeMutableBufferPointer { buffer -> [DescentTile.Outcome] in
      scales.withUnsafeMutableBufferPointer { scales in
        zeros.withUnsafeMutableBufferPointer { zeros in
          guard let start = buffer.baseAddress, let s = scales.baseAddress,
            let z = zeros.baseAddress
          else { return [] }
          // Tiles write to rows of their own.
          nonisolated(unsafe) let codes = start
          nonisolated(unsafe) let grids = movesGrids ? GridRows(scales: s, zeros: z) : nil
          let found = try? pool.map((rows + tile - 1) / tile) { index -> DescentTile.Outcome in
            DescentTile(job, rows: index * tile..<min((index + 1) * tile, rows)).run(
              packed: codes, grids: grids)
          }
          return found ?? []
        }
      }
    }
    var result = weight
    var found = base
    found.codes = Tensor(dtype: .u8, shape: [rows, bytes], array: packed)
    if movesGrids { found.replaceGrids(scales: scales, zeros: zeros) }
    result.base = .integer(found)
    var report = Report(before: 0, after: 0, codesChanged: 0)
    for outcome in tiles {
      report.before += outcome.before * gram.mean
      report.after += outcome.after * gram.mean
      report.codesChanged += outcome.changes
    }
    return (result, report)
  }
}

/// H over its mean diagonal in f32.
struct NormalizedGram: Sendable {
  let values: Matrix<Float>
  let mean: Double

  init(_ gram: Matrix<Double>, mean: Double) {
    let scale = mean > 0 && mean.isFinite ? 1 / mean : 0
    self.mean = scale > 0 ? mean : 0
    values = Matrix(rows: gram.rows, columns: gram.columns) { target in
      for (index, value) in gram.values.enumerated() {
        target.initializeElement(at: index, to: Float(value * scale))
      }
    }
  }

  /// - Throws: `QuantizationError.notQuantized`, `.statisticsMismatch`, `.statisticsNotFinite`.
  init(
    _ gram: Matrix<Double>, weight: CompressedWeight, target: Matrix<Float>, operation: String
  ) throws(QuantizationError) {
    switch weight.base {
    case .integer, .table, .planes, .blocks: break
    default: throw .notQuantized(operation: operation)
    }
    guard gram.rows == weight.columns, gram.columns == weight.columns,
      target.rows == weight.rows, target.columns == weight.columns
    else {
      throw .statisticsMismatch(
        rows: target.rows, columns: target.columns, gram: [gram.rows, gram.columns])
    }
    if let index = Finiteness.firstNonFinite(gram.values) {
      throw .statisticsNotFinite(row: index / gram.columns, column: index % gram.columns)
    }
    var mean = 0.0
    for index in 0..<gram.rows { mean += gram[index, index] / Double(gram.rows) }
    self.init(gram, mean: mean)
  }
}
