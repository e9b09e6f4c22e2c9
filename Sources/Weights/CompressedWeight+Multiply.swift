import Kernels
import LinearAlgebra
import Synchronization
import Tensors

extension CompressedWeight {
  /// y = Ŵ · Q(T(x)) for rows of inputs: `inputs` is n × columns, the result n × rows.
  public func multiplied(
    by inputs: Matrix<Float>, pool: WorkerPool = .serial
  ) -> Matrix<Float> {
    precondition(inputs.columns == columns, "\(inputs.columns) inputs for \(columns)")
    return Matrix(rows: inputs.rows, columns: rows) { target in
      inputs.values.withUnsafeBufferPointer { source in
        guard let x = source.baseAddress, let y = target.baseAddress else {
          target.initialize(repeating: 0)
          return
        }
        multiply(x, rows: inputs.rows, into: y, pool: pool)
      }
    }
  }

  /// y = Ŵ · Q(T(x)); `x` is `count × columns`, `y` is `count × rows`, both row-major; `y` is
  /// overwritten.
  ///
  /// Tiles of outputs are decoded into scratch of at most 1 MiB a worker and multiplied there; a
  /// few rows on an integer, table or sparse base take a fused kernel instead. The tiles' borders depend on the
  /// weight's shape only: any number of workers gives the same bits.
  public func multiply(
    _ x: UnsafePointer<Float>, rows count: Int, into y: UnsafeMutablePointer<Float>,
    pool: WorkerPool = .serial
  ) {
    guard count > 0, rows > 0 else { return }
    guard let preparation = InputPreparation(self) else {
      multiplyTransformed(x, rows: count, into: y, pool: pool)
      return
    }
    preparation.prepared(x, rows: count).values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      multiplyTransformed(start, rows: count, into: y, pool: pool)
    }
  }

  /// The product with inputs that went through Q(T(·)) already, as several readers of one site share.
  public func multiplyTransformed(
    _ x: UnsafePointer<Float>, rows count: Int, into y: UnsafeMutablePointer<Float>,
    pool: WorkerPool = .serial
  ) {
    let tile = Self.tileRows(columns: columns)
    let terms = thinTerms(x, rows: count, pool: pool)
    let scratch = ScratchStack(count: tile * columns)
    nonisolated(unsafe) let (input, output) = (x, y)
    pool.forEach((rows + tile - 1) / tile) { (index: Int) in
      let range = index * tile..<min((index + 1) * tile, rows)
      multiplyBase(input, rows: count, outputs: range, into: output, scratch: scratch)
      for term in terms {
        term.add(outputs: range, rows: count, into: output, stride: rows)
      }
    }
  }

  /// The product by decoding everything to one dense matrix and summing in f64: the plain twin.
  func multipliedByReference(_ inputs: Matrix<Float>) -> Matrix<Float> {
    let weight = decoded()
    var result = Matrix<Float>(rows: inputs.rows, columns: rows, repeating: 0)
    for row in 0..<inputs.rows {
      for output in 0..<rows {
        var sum = 0.0
        for column in 0..<columns {
          sum += Double(inputs[row, column]) * Double(weight[output, column])
        }
        result[row, output] = Float(sum)
      }
    }
    return result
  }

  /// Outputs decoded at a time: at most 256 and 1 MiB of f32, at least 16.
  static func tileRows(columns: Int) -> Int {
    max(16, min(256, (1 << 18) / max(columns, 1) / 16 * 16))
  }
}

extension CompressedWeight {
  /// Rows of inputs up to which the fused kernel beats decoding for a product.
  static let fusedRows = 8

  /// (base ⊙ mask) · x for some outputs; zeros without a base.
  private func multiplyBase(
    _ x: UnsafePointer<Float>, rows count: Int, outputs: Range<Int>,
    into y: UnsafeMutablePointer<Float>, scratch: ScratchStack
  ) {
    guard let base, columns > 0 else {
      zero(y, rows: count, outputs: outputs)
      return
    }
    if case .integer(let integer) = base, mask == nil, count <= Self.fusedRows {
      zero(y, rows: count, outputs: outputs)
      integer.withKernelRows {
        pith_multiply_integer(
          $0, outputs.lowerBound, outputs.count, x, count, columns, y + outputs.lowerBound, rows)
      }
      return
    }
    if case .integer(let integer) = base, mask == nil, RowProduct.isExact {
      IntegerBase.multiply(
        [IntegerProduct(base: integer, x: x, rows: count, y: y)], outputs: outputs)
      return
    }
    if case .table(let table) = base, mask == nil, count <= Self.fusedRows {
      zero(y, rows: count, outputs: outputs)
      table.withKernelRows {
        pith_multiply_table(
          $0, outputs.lowerBound, outputs.count, x, count, columns, y + outputs.lowerBound, rows)
      }
      return
    }
    if case .sparse(let sparse) = base, mask == nil, sparse.prefersSurvivors(rows: count) {
      sparse.multiply(x, rows: count, outputs: outputs, into: y, stride: rows)
      return
    }
    if mask == nil {
      let done: Void? = base.withFloats {
        product(x, $0 + outputs.lowerBound * columns, rows: count, outputs: outputs, into: y)
      }
      if done != nil { return }
    }
    scratch.withBuffer { tile in
      base.decode(rows: outputs, into: tile)
      mask?.apply(to: tile, rows: outputs, columns: columns)
      product(x, tile, rows: count, outputs: outputs, into: y)
    }
  }

  private func product(
    _ x: UnsafePointer<Float>, _ tile: UnsafePointer<Float>, rows count: Int,
    outputs: Range<Int>, into y: UnsafeMutablePointer<Float>
  ) {
    if count == 1 {
      BLAS.gemv(
        m: outputs.count, n: columns, alpha: 1, a: tile, lda: columns, transposeA: false, x: x,
        beta: 0, y: y + outputs.lowerBound)
      return
    }
    RowProduct.multiply(
      x, rows: count, xStride: columns, by: tile, outputs: outputs.count, wStride: columns,
      columns: columns, into: y + outputs.lowerBound, yStride: rows)
  }

  private func zero(_ y: UnsafeMutablePointer<Float>, rows count: Int, outputs: Range<Int>) {
    for row in 0..<count {
      (y + row * rows + outputs.lowerBound).update(repeating: 0, count: outputs.count)
    }
  }
}

/// Buffers of one size that the tiles of one product take and give back.
private final class ScratchStack: Sendable {
  private struct Buffer: @unchecked Sendable { let start: UnsafeMutablePointer<Float> }
  private let count: Int
  private let free = Mutex<[Buffer]>([])

  init(count: Int) { self.count = count }

  deinit { free.withLock { for buffer in $0 { buffer.start.deallocate() } } }

  func withBuffer(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    let buffer =
      free.withLock { $0.popLast() } ?? Buffer(start: .allocate(capacity: max(count, 1)))
    body(buffer.start)
    free.withLock { $0.append(buffer) }
  }
}
