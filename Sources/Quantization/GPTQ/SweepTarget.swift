import Kernels
import Tensors
import Weights

/// What a sweep rounds: a weight's own numbers where they lie in memory as f32, else a copy.
///
/// Of a large layer the copy alone costs a tenth of the sweep's time where pages are fresh.
struct SweepTarget: Sendable {
  let rows: Int
  let columns: Int
  private let numbers: Numbers

  private enum Numbers: Sendable {
    case own(Bytes)
    case copy(Matrix<Float>)
  }

  init(_ matrix: Matrix<Float>) {
    (rows, columns, numbers) = (matrix.rows, matrix.columns, .copy(matrix))
  }

  /// base ⊙ mask of a weight.
  init(_ weight: CompressedWeight, pool: WorkerPool) {
    (rows, columns) = (weight.rows, weight.columns)
    // What lies in a file is read, not touched page by page.
    if case .dense(let base) = weight.base, base.values.dtype == .f32, weight.mask == nil,
      !base.values.bytes.isInFile
    {
      numbers = .own(base.values.bytes)
    } else {
      numbers = .copy(weight.decodedBase(pool: pool))
    }
  }

  /// The numbers, row by row; there is one at least.
  func withValues<Result>(_ body: (UnsafePointer<Float>) throws -> Result) rethrows -> Result? {
    switch numbers {
    case .own(let bytes):
      try bytes.withBuffer { (buffer: UnsafeRawBufferPointer) throws -> Result? in
        try buffer.bindMemory(to: Float.self).baseAddress.map(body)
      }
    case .copy(let matrix):
      try matrix.values.withUnsafeBufferPointer { try $0.baseAddress.map(body) }
    }
  }

  /// The numbers as a matrix, a copy where they were not one before.
  var matrix: Matrix<Float> {
    switch numbers {
    case .own(let bytes):
      Matrix(rows: rows, columns: columns) { target in
        bytes.withBuffer { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
      }
    case .copy(let matrix): matrix
    }
  }

  /// Refuses NaN and infinity, naming the place.
  ///
  /// - Throws: `WeightsError.notFinite`.
  func checkFinite() throws(WeightsError) {
    let found = withValues { pith_first_nonfinite($0, rows * columns) }
    guard let found, found >= 0 else { return }
    throw .notFinite(row: Int(found) / columns, column: Int(found) % columns)
  }

  /// The numbers with zeros in some columns.
  func cleared(_ columns: [Int]) -> SweepTarget {
    guard !columns.isEmpty else { return self }
    var result = matrix
    for row in 0..<rows { for column in columns { result[row, column] = 0 } }
    return SweepTarget(result)
  }
}
