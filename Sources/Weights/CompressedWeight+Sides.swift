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
  public static func multiplyTransformed(_ products: [WeightProduct], pool: WorkerPool = .serial) {
    guard let shared = integerProducts(products), let first = products.first?.weight else {
      for product in products {
        product.weight.multiplyTransformed(
          product.x, rows: product.rows, into: product.y, pool: pool)
      }
      return
    }
    let terms = products.map { $0.weight.thinTerms($0.x, rows: $0.rows, pool: pool) }
    let tile = tileRows(columns: first.columns)
    // Inputs and weights are only read, tiles of the results are disjoint.
    nonisolated(unsafe) let (integers, all) = (shared, products)
    pool.forEach((first.rows + tile - 1) / tile) { (index: Int) in
      let range = index * tile..<min((index + 1) * tile, first.rows)
      IntegerBase.multiply(integers, outputs: range)
      for (product, terms) in zip(all, terms) {
        for term in terms {
          term.add(outputs: range, rows: product.rows, into: product.y, stride: first.rows)
        }
      }
    }
  }

  /// The products of the bases, where they can share a tile's codes and there are rows enough.
  private static func integerProducts(_ products: [WeightProduct]) -> [IntegerProduct]? {
    guard products.count > 1, products.count <= IntegerBase.mostSides, RowProduct.isExact else {
      return nil
    }
    var result: [IntegerProduct] = []
    for product in products {
      guard case .integer(let base)? = product.weight.base, product.weight.mask == nil,
        product.rows > fusedRows, result.first?.base.sharesCodes(with: base) ?? true
      else { return nil }
      result.append(IntegerProduct(base: base, x: product.x, rows: product.rows, y: product.y))
    }
    return result
  }
}
