import Architectures
import Kernels
import LinearAlgebra
import Tensors
import Weights

/// A linear layer ready to run: y = Q(T(x)) Ŵᵀ + bias.
///
/// Plain dense weights are held in f32 and multiplied by sgemm here; every other weight multiplies
/// itself (`CompressedWeight.multiply`), decoding tiles in cache.
public struct LinearMap: Sendable {
  public let outputs: Int
  public let inputs: Int
  let bias: [Float]?
  /// What is done to the inputs first; nil: nothing.
  let preparation: InputPreparation?
  private let form: Form
  /// What products with integer codes are summed in.
  private let arithmetic: ProductArithmetic

  private enum Form: Sendable {
    case dense(FloatTable)
    case compressed(CompressedWeight)
  }

  /// Below this many rows a matrix–vector product per row beats packing for gemm.
  static let fewRows = 4
  /// Outputs per tile when there are few rows: the tiles are all the parallelism there is.
  static let narrowTile = 256
  /// Outputs per tile when rows are many.
  static let wideTile = 2048

  public init(
    _ weight: CompressedWeight, bias: [Float]?, arithmetic: ProductArithmetic = .f32
  ) {
    outputs = weight.rows
    inputs = weight.columns
    self.bias = bias
    preparation = InputPreparation(weight)
    self.arithmetic = arithmetic
    if case .dense(let base)? = weight.base, weight.mask == nil, weight.outliers == nil,
      weight.lowRank.isEmpty
    {
      form = .dense(FloatTable(base.values).decoded)
    } else {
      form = .compressed(weight)
    }
  }

  init(dense table: FloatTable, bias: [Float]? = nil) {
    outputs = table.rows
    inputs = table.columns
    self.bias = bias
    preparation = nil
    arithmetic = .f32
    form = .dense(table.decoded)
  }

  /// The layer that a provider has under a description.
  init(_ linear: LinearDescription, from provider: any WeightProvider) throws {
    let weight = try provider.weight(linear)
    guard weight.rows == linear.outputs, weight.columns == linear.inputs else {
      throw ModelError.wrongWeightShape(
        name: linear.weight, found: [weight.rows, weight.columns],
        expected: [linear.outputs, linear.inputs])
    }
    self.init(
      weight,
      bias: try linear.bias.map { try provider.vector($0, count: linear.outputs) },
      arithmetic: provider.arithmetic)
  }

  /// What readers of one input do to it first, when all do the same; nil: nothing, or each its own.
  static func sharedPreparation(_ maps: [LinearMap]) -> InputPreparation? {
    guard let first = maps.first?.preparation,
      maps.allSatisfy({ $0.preparation?.isSame(as: first) ?? false })
    else { return nil }
    return first
  }

  /// The bytes that the weight takes in memory.
  public var byteCount: Int {
    let own = (bias?.count ?? 0) * 4
    return switch form {
    case .dense(let table): own + table.byteCount
    case .compressed(let weight): own + weight.residentBytes
    }
  }

  /// y ← Q(T(x)) Ŵᵀ + bias; x is `rows × inputs`, y `rows × outputs`, both contiguous.
  ///
  /// Called from inside a pool's tile it runs there; called from outside, tiles of outputs are
  /// shared out. The same bits either way.
  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, pool: WorkerPool
  ) {
    guard rows > 0 else { return }
    guard let preparation else { return applyPrepared(x, rows: rows, into: y, pool: pool) }
    preparation.prepared(x, rows: rows).values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      applyPrepared(start, rows: rows, into: y, pool: pool)
    }
  }

  /// The same for inputs that were prepared already, as several readers of one input share.
  func applyPrepared(
    _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, pool: WorkerPool
  ) {
    switch form {
    case .dense(let table):
      guard let weights = table.floats else { return }
      multiply(x, rows: rows, weights, into: y, pool: pool)
    case .compressed(let weight):
      CompressedWeight.multiplyTransformed(
        [WeightProduct(weight, x, rows: rows, into: y)], arithmetic: arithmetic, pool: pool)
    }
    if let bias { pith_add_bias(y, bias, rows, outputs) }
  }

  /// A map's product with rows of inputs.
  struct Product {
    let map: LinearMap
    let x: UnsafePointer<Float>
    let rows: Int
    let y: UnsafeMutablePointer<Float>
  }

  /// Products of maps whose inputs were prepared already; compressed weights go together, so that
  /// codes that they share are unpacked once.
  static func applyPrepared(_ products: [Product], pool: WorkerPool) {
    var weights: [WeightProduct] = []
    for product in products {
      guard case .compressed(let weight) = product.map.form, product.rows > 0 else { break }
      weights.append(WeightProduct(weight, product.x, rows: product.rows, into: product.y))
    }
    guard weights.count > 1, weights.count == products.count else {
      for product in products where product.rows > 0 {
        product.map.applyPrepared(product.x, rows: product.rows, into: product.y, pool: pool)
      }
      return
    }
    CompressedWeight.multiplyTransformed(
      weights, arithmetic: products[0].map.arithmetic, pool: pool)
    for product in products {
      guard let bias = product.map.bias else { continue }
      pith_add_bias(product.y, bias, product.rows, product.map.outputs)
    }
  }

  private func multiply(
    _ x: UnsafePointer<Float>, rows: Int, _ weights: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, pool: WorkerPool
  ) {
    let (outputs, inputs) = (outputs, inputs)
    let width = rows <= 16 ? Self.narrowTile : Self.wideTile
    // Inputs are shared and only read, tiles of the result are disjoint.
    nonisolated(unsafe) let (x, weights, y) = (x, weights, y)
    pool.forEach((outputs + width - 1) / width) { (tile: Int) -> Void in
      let first = tile * width
      let count = min(width, outputs - first)
      if rows <= Self.fewRows {
        for row in 0..<rows {
          BLAS.gemv(
            m: count, n: inputs, alpha: 1, a: weights + first * inputs, lda: inputs,
            transposeA: false, x: x + row * inputs, beta: 0, y: y + row * outputs + first)
        }
      } else {
        RowProduct.multiply(
          x, rows: rows, xStride: inputs, by: weights + first * inputs, outputs: count,
          wStride: inputs, columns: inputs, into: y + first, yStride: outputs)
      }
    }
  }
}
