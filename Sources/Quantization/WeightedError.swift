import LinearAlgebra
import Tensors

/// What an approximation costs at a layer's output: ‖D·Xᵀ‖² = tr(D·H·Dᵀ) with H = XᵀX.
public enum WeightedError {
  /// tr(D·H·Dᵀ), in f64.
  ///
  /// - Throws: `QuantizationError.statisticsMismatch`, `.linearAlgebra`.
  public static func of(
    _ difference: Matrix<Float>, gram: Matrix<Double>, pool: WorkerPool = .serial
  ) throws(QuantizationError) -> Double {
    guard gram.rows == difference.columns, gram.columns == difference.columns else {
      throw .statisticsMismatch(
        rows: difference.rows, columns: difference.columns, gram: [gram.rows, gram.columns])
    }
    let wide = difference.converted(to: Double.self)
    let product: Matrix<Double>
    do { product = try Gemm.product(wide, gram, pool: pool) } catch let error
      as LinearAlgebraError
    {
      throw .linearAlgebra(error)
    } catch { preconditionFailure("a product throws LinearAlgebraError, not \(error)") }
    return zip(wide.values, product.values).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// tr(D·H·Dᵀ)/tr(W·H·Wᵀ), the share of the output's energy that is lost; 0 where nothing is.
  ///
  /// - Throws: as `of(_:gram:pool:)`.
  public static func relative(
    _ approximation: Matrix<Float>, to original: Matrix<Float>, gram: Matrix<Double>,
    pool: WorkerPool = .serial
  ) throws(QuantizationError) -> Double {
    let error = try of(subtract(approximation, from: original), gram: gram, pool: pool)
    let energy = try of(original, gram: gram, pool: pool)
    return energy > 0 ? error / energy : error
  }

  static func subtract(_ right: Matrix<Float>, from left: Matrix<Float>) -> Matrix<Float> {
    precondition(left.rows == right.rows && left.columns == right.columns, "matrices of one size")
    return Matrix(
      rows: left.rows, columns: left.columns, values: zip(left.values, right.values).map { $0 - $1 }
    )
  }
}
