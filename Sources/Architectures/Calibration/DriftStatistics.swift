import Kernels
import LinearAlgebra
import Tensors

/// How far a layer's inputs have drifted from the dense model's, by what earlier layers lost.
///
/// With x̂ the rows that the layer reads and x those that it would read in the dense model:
/// `inputs` = Σ (x − x̂)ᵀ x̂, in × in; and with h the residual stream that its output is added to,
/// `stream` = Σ (h − ĥ)ᵀ x̂, out × in. Products in f32 over tiles of 256 rows, added up in f64 in the
/// order of the rows.
public struct DriftStatistics: Sendable {
  /// The inputs' width.
  public let width: Int
  /// Rows seen.
  public private(set) var rows = 0
  public private(set) var inputs: Matrix<Double>
  public var stream: Matrix<Double>? { hasStream ? streamSums : nil }
  private let hasStream: Bool
  private var streamSums: Matrix<Double>

  /// Statistics of nothing yet.
  ///
  /// - Parameter streamWidth: the width of the stream that the output is added to; nil when the
  ///   output goes elsewhere.
  public init(width: Int, streamWidth: Int? = nil) {
    self.width = width
    inputs = Matrix(rows: width, columns: width, repeating: 0)
    hasStream = streamWidth != nil
    streamSums = Matrix(rows: streamWidth ?? 0, columns: width, repeating: 0)
  }

  /// The bytes that drift statistics take.
  public static func byteCount(width: Int, streamWidth: Int?) -> Int {
    8 * width * (width + (streamWidth ?? 0))
  }

  /// The same rows in the dense model and in what it has become.
  public struct Pair {
    let dense: UnsafePointer<Float>
    let own: UnsafePointer<Float>
    public init(dense: UnsafePointer<Float>, own: UnsafePointer<Float>) {
      self.dense = dense
      self.own = own
    }
  }

  /// Adds rows.
  ///
  /// - Parameters:
  ///   - inputs: `count × width` each.
  ///   - stream: `count × the stream's width` each; nil when there is none.
  public mutating func add(
    inputs: Pair, stream: Pair?, rows count: Int, pool: WorkerPool = .serial
  ) {
    rows += count
    Self.add(&self.inputs, inputs, times: inputs.own, count, pool)
    if hasStream, let stream { Self.add(&streamSums, stream, times: inputs.own, count, pool) }
  }

  /// target ← target + (dense − own)ᵀ·right, each block one worker's, its row tiles in order.
  private static func add(
    _ target: inout Matrix<Double>, _ pair: Pair, times right: UnsafePointer<Float>,
    _ count: Int, _ pool: WorkerPool
  ) {
    let elements = count * target.rows
    let left = UnsafeMutablePointer<Float>.allocate(capacity: elements)
    defer { left.deallocate() }
    for index in 0..<elements { left[index] = pair.dense[index] - pair.own[index] }
    let block = InputStatistics.blockWidth
    let (m, n) = (target.rows, target.columns)
    let across = (n + block - 1) / block
    let tiles = (m + block - 1) / block * across
    target.values.withUnsafeMutableBufferPointer { values in
      // Blocks are disjoint, the rows are only read.
      nonisolated(unsafe) let base = values.baseAddress
      nonisolated(unsafe) let (left, right) = (UnsafePointer(left), right)
      pool.forEach(tiles) { (tile: Int) -> Void in
        guard let base else { return }
        let (first, second) = (tile / across * block, tile % across * block)
        let (height, width) = (min(block, m - first), min(block, n - second))
        withUnsafeTemporaryAllocation(of: Float.self, capacity: height * width) { product in
          guard let c = product.baseAddress else { return }
          for row in stride(from: 0, to: count, by: InputStatistics.tileRows) {
            let k = min(InputStatistics.tileRows, count - row)
            BLAS.gemm(
              m: height, n: width, k: k, alpha: 1, a: left + row * m + first, lda: m,
              transposeA: true, b: right + row * n + second, ldb: n, transposeB: false, beta: 0,
              c: c, ldc: width)
            pith_accumulate(base + first * n + second, n, c, height, width)
          }
        }
      }
    }
  }
}
