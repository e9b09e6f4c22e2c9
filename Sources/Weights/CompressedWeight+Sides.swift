import LinearAlgebra
import Tensors

/// A weight's product with rows of inputs that went through Q(T(·)): `x` is `rows × columns`, `y`
/// `rows × outputs`.
public struct WeightProduct {
  public let weight: CompressedWeight
  public let x: UnsafePointer<Float>
  public let rows: Int
  public let y: UnsafeMutablePointer<Float>

  public init(
    _ weight: CompressedWeight, _ x: UnsafePointer<Float>, rows: Int,
    into y: UnsafeMutablePointer<Float>
  ) {
    self.weight = weight
    self.x = x
    self.rows = rows
    self.y = y
  }
}

extension CompressedWeight {
  /// Products of several weights, each with its own inputs.
  ///
  /// Weights that hold the same integer codes under scales or zero points of their own, as the
  /// sides of a perturbation do, go together: a tile's codes are unpacked once for all of them. The
  /// bits are those of each by itself.
  public static func multiplyTransformed(
    _ products: [WeightProduct], arithmetic: ProductArithmetic = .f32, pool: WorkerPool = .serial
  ) {
    guard let together = integerProducts(products, arithmetic) else {
      for product in products {
        if arithmetic == .int16, products.count > 1 {
          multiplyTransformed([product], arithmetic: .int16, pool: pool)
        } else {
          product.weight.multiplyTransformed(
            product.x, rows: product.rows, into: product.y, pool: pool)
        }
      }
      return
    }
    switch (arithmetic, together[0].base.narrowChunk) {
    case (.int16, let chunk?):
      NarrowInputs.with(together, chunk: chunk, pool: pool) { inputs in
        // Rounded inputs are only read from here on.
        nonisolated(unsafe) let inputs = inputs
        multiplyTiles(products, pool: pool) {
          IntegerBase.multiplyNarrow(together, inputs, chunk: chunk, outputs: $0)
        }
      }
    default:
      multiplyTiles(products, pool: pool) { IntegerBase.multiply(together, outputs: $0) }
    }
  }

  /// Calls a body with the outputs of each tile, and adds the thin terms to what it made.
  private static func multiplyTiles(
    _ products: [WeightProduct], pool: WorkerPool, _ body: @Sendable (Range<Int>) -> Void
  ) {
    guard let first = products.first?.weight else { return }
    let terms = products.map { $0.weight.thinTerms($0.x, rows: $0.rows, pool: pool) }
    let tile = tileRows(columns: first.columns)
    // Inputs and weights are only read, tiles of the results are disjoint.
    nonisolated(unsafe) let products = products
    pool.forEach((first.rows + tile - 1) / tile) { (index: Int) in
      let range = index * tile..<min((index + 1) * tile, first.rows)
      body(range)
      for (product, terms) in zip(products, terms) {
        for term in terms {
          term.add(outputs: range, rows: product.rows, into: product.y, stride: first.rows)
        }
      }
    }
  }

  /// The products of the bases, where they can share a tile's codes.
  ///
  /// In f32 there must be several, and rows enough; in 16-bit arithmetic a product by itself goes the
  /// same way, so that its bits do not depend on its company.
  private static func integerProducts(
    _ products: [WeightProduct], _ arithmetic: ProductArithmetic
  ) -> [IntegerProduct]? {
    guard !products.isEmpty, products.count <= IntegerBase.mostSides, RowProduct.isExact else {
      return nil
    }
    var result: [IntegerProduct] = []
    for product in products {
      guard case .integer(let base)? = product.weight.base, product.weight.mask == nil,
        result.first?.base.sharesCodes(with: base) ?? true
      else { return nil }
      switch arithmetic {
      case .f32: guard products.count > 1, product.rows > fusedRows else { return nil }
      case .int16:
        guard base.narrowChunk != nil, result.first?.base.sharesZeros(with: base) ?? true
        else { return nil }
      }
      result.append(IntegerProduct(base: base, x: product.x, rows: product.rows, y: product.y))
    }
    return result
  }
}
